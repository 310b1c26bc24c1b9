"""Tests of the handler of `POST /publish` with a fake service: results, refusals and failures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from chaincast.errors import Code, RequestError
from chaincast.metrics.logger import make_logger
from chaincast.publishing.appender import Busy
from chaincast.publishing.http_handler import MAX_BODY_BYTES, PublishHttpHandler
from chaincast.publishing.service import PublishResult
from tests.factories import http_event
from tests.lambda_functions import Context
from tests.unit.handler_fakes import NOW, CountingMetrics

GOOD: Mapping[str, str] = {"id": "app-0:1", "source": "app-0", "cursor": "000000000001"}
BAD: Mapping[str, str] = {"code": "BAD_MESSAGE", "message": "price: data.price is missing"}


class Service:
    """A service that records calls, and returns a result or raises an exception."""

    def __init__(self, outcome: PublishResult | Exception) -> None:
        self.outcome = outcome
        self.calls: list[tuple[list[object], str | None, int]] = []

    def publish(self, items: Sequence[object], key: str | None, now_ms: int) -> PublishResult:
        self.calls.append(([*items], key, now_ms))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def post(service: Service, body: str, **headers: str) -> tuple[int, dict[str, Any], CountingMetrics, dict[str, Any]]:
    metrics = CountingMetrics()
    handler = PublishHttpHandler(service, metrics, make_logger("test"), lambda: NOW)
    event = http_event("POST", "/publish", body=body, headers=headers)
    response = handler.routes.resolve(event, Context())  # type: ignore[arg-type]  # what Powertools reads of it
    return response["statusCode"], json.loads(response["body"]), metrics, {**response["headers"]}


@pytest.mark.parametrize(
    ("results", "status"), [((GOOD,), 200), ((GOOD, BAD), 207), ((BAD,), 400)], ids=["all", "some", "none"]
)
def test_the_status_says_how_many_events_were_accepted(results: tuple[Mapping[str, str], ...], status: int) -> None:
    code, document, metrics, _ = post(Service(PublishResult(results)), "[{}, {}]")
    assert (code, document["accepted"], document["results"]) == (status, results.count(GOOD), [*results])
    assert metrics.counts["EventsPublished"] == results.count(GOOD)
    assert metrics.counts["EventsRefused"] == results.count(BAD)


def test_a_single_event_is_an_array_of_one_and_the_key_is_passed_on() -> None:
    service = Service(PublishResult((GOOD,)))
    post(service, '{"kind": "price"}', **{"idempotency-key": "k1"})
    assert service.calls == [([{"kind": "price"}], "k1", NOW)]


def test_a_repeated_request_counts_no_event_again() -> None:
    _, document, metrics, _ = post(Service(PublishResult((GOOD,), repeated=True)), "{}")
    assert document["repeated"] is True
    assert metrics.counts["EventsPublished"] == 0


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [("", "BAD_JSON", 400), ("{", "BAD_JSON", 400), ("x" * (MAX_BODY_BYTES + 1), "TOO_LARGE", 413)],
    ids=["empty", "cut off", "too long"],
)
def test_a_bad_body_is_refused_before_the_service_is_asked(body: str, code: str, status: int) -> None:
    service = Service(PublishResult(()))
    answered, document, _, _ = post(service, body)
    assert (answered, document["code"], service.calls) == (status, code, [])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (RequestError(Code.KEY_REUSED, "used"), 409, "KEY_REUSED"),
        (RequestError(Code.TOO_MANY_EVENTS, "501 events"), 413, "TOO_MANY_EVENTS"),
        (RuntimeError("no table"), 500, "INTERNAL"),
    ],
)
def test_an_error_of_the_service_has_its_status_and_no_cause(error: Exception, status: int, code: str) -> None:
    answered, document, _, _ = post(Service(error), "{}")
    assert (answered, document["code"]) == (status, code)
    assert "table" not in document["message"]


def test_busy_says_when_to_retry() -> None:
    answered, document, _, headers = post(Service(Busy("app-0")), "{}")
    assert (answered, document["code"], headers["retry-after"]) == (503, "BUSY", "1")
