"""Tests of the status handler with a fake collector: health, tokens, caching, pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaincast.aws.lambda_events import HttpResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.eventlog.listener_status import ListenerStatus
from chaincast.metrics.logger import make_logger
from chaincast.protocol.commands import User
from chaincast.status.report import DeploymentStatus
from chaincast.status.status_handler import FRESH_SECONDS, StatusHandler
from chaincast.status.token_check import make_token_check
from tests.factories import http_event
from tests.lambda_functions import Context
from tests.unit.handler_fakes import SETTINGS, CountingMetrics

NOW = 1_700_000_000.0
GUARDED = replace(SETTINGS, metrics_token=True)
TABLES = ("connections", "subscriptions", "log", "history", "state")


def status(now: float = NOW, **tables: bool) -> DeploymentStatus:
    return DeploymentStatus(
        now,
        {"anvil": ListenerStatus(until=now + 10, block=7, head=7, block_time=int(now))},
        {"anvil": 1000},
        {**dict.fromkeys(TABLES, True), **tables},
        {"fanout": 0, "fanout-dead": 0, "lifecycle": 0, "lifecycle-dead": 0},
        None,
    )


class World:
    def __init__(self, settings: Settings = SETTINGS, pages: Path = Path("/nowhere"), **tables: bool) -> None:
        self.now = NOW
        self.collected = 0
        self.tables = tables
        self.handler = StatusHandler(
            settings, self, lambda: "secret", pages, CountingMetrics(), make_logger("test"), lambda: self.now
        )

    def collect(self) -> DeploymentStatus:
        self.collected += 1
        return status(self.now, **self.tables)

    def get(self, path: str, **headers: str) -> HttpResponse:
        event = http_event("GET", path, headers=headers)
        return self.handler.routes.resolve(event, Context())  # type: ignore[arg-type]  # what Powertools reads of it


def document(response: HttpResponse) -> Mapping[str, Any]:
    parsed: Mapping[str, Any] = json.loads(response["body"])
    return parsed


def test_a_healthy_deployment_responds_with_200() -> None:
    response = World().get("/health")
    assert (response["statusCode"], document(response)["status"], document(response)["problems"]) == (200, "ok", [])
    assert response["headers"]["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/health", "/lb/status"])
def test_a_deployment_that_cannot_serve_clients_responds_with_503(path: str) -> None:
    response = World(connections=False).get(path)
    assert response["statusCode"] == 503


def test_a_balancer_reads_one_word() -> None:
    assert document(World().get("/lb/status"))["status"] == "healthy"


def test_the_status_is_collected_at_most_once_in_a_few_seconds() -> None:
    world = World()
    for _ in range(3):
        world.get("/health")
    assert world.collected == 1
    world.now += FRESH_SECONDS + 1
    world.get("/health")
    assert world.collected == 2


@pytest.mark.parametrize("path", ["/status", "/metrics"])
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "AUTH_REQUIRED"),
        ({"authorization": "Bearer wrong"}, "AUTH_FAILED"),
        ({"authorization": "\ud800"}, "AUTH_FAILED"),
    ],
    ids=["none", "wrong", "not UTF-8"],
)
def test_details_need_the_metrics_token(path: str, headers: dict[str, str], code: str) -> None:
    world = World(GUARDED)
    response = world.get(path, **headers)
    assert (response["statusCode"], document(response)["code"], world.collected) == (401, code, 0)
    assert "secret" not in document(response)["message"].replace("stack's secret MetricsToken", "")


def test_the_token_opens_status_and_metrics() -> None:
    world = World(GUARDED)
    opened = world.get("/status", authorization="Bearer secret")
    assert (opened["statusCode"], document(opened)["settings"]["networks"]) == (200, ["anvil"])
    metrics = world.get("/metrics", authorization="Bearer secret")
    assert (metrics["statusCode"], "chaincast" in metrics["body"]) == (200, True)


def test_details_are_public_where_the_configuration_says_so() -> None:
    assert World().get("/status")["statusCode"] == 200


def test_pages_are_served_as_they_were_made(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>Chaincast</h1>")
    response = World(pages=tmp_path).get("/docs")
    assert (response["statusCode"], response["body"]) == (200, "<h1>Chaincast</h1>")
    assert "default-src 'none'" in response["headers"]["content-security-policy"]
    missing = World(pages=tmp_path).get("/docs/openapi.json")
    assert (missing["statusCode"], document(missing)["code"]) == (404, "UNKNOWN_ROUTE")


class Authenticator:
    def __init__(self, outcome: Exception | None) -> None:
        self.outcome = outcome

    def authenticate(self, token: str) -> User | None:
        assert token.count(".") == 2
        if self.outcome is not None:
            raise self.outcome
        return None


@pytest.mark.parametrize(
    ("outcome", "can_verify"),
    [
        (RequestError(Code.AUTH_FAILED, "unknown key"), True),
        (RequestError(Code.AUTH_UNAVAILABLE, "no keys"), False),
        (ConnectionError("no secret"), False),
    ],
)
def test_a_token_of_no_user_shows_whether_tokens_can_be_verified(outcome: Exception, can_verify: bool) -> None:
    check = make_token_check(Authenticator(outcome), "optional", "HS256", make_logger("test"))
    assert check() is can_verify


def test_without_authentication_there_is_nothing_to_check() -> None:
    assert make_token_check(Authenticator(None), "off", "HS256", make_logger("test"))() is None
