"""Tests of the handler of administrators' requests, with fakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from chaincast.metrics.logger import make_logger
from chaincast.policy.rate_limits import Limits
from chaincast.sessions.admin_handler import AdminHandler
from chaincast.sessions.connection_store import Connection, activity_slot
from chaincast.sessions.subscription_store import Subscription
from tests.factories import http_event
from tests.lambda_functions import Context
from tests.unit.handler_fakes import NOW, CountingMetrics, RecordingConnectionApi, connection

ANN = connection("a=", user="ann", active_slot=activity_slot(NOW))
ANONYMOUS = connection("b=", active_slot=activity_slot(NOW))

LIMITED = Limits(connections_per_user=5)


class World:
    """An admin handler with fakes: two open connections, one of them Ann's."""

    def __init__(self, limits: Limits = LIMITED) -> None:
        self.records = {"a=": ANN, "b=": ANONYMOUS}
        self.api, self.metrics = RecordingConnectionApi(), CountingMetrics()
        self.error: Exception | None = None
        self.handler = AdminHandler(limits, self, self, self, self.api, self.metrics, make_logger("test"))

    def page(self, limit: int, after: str) -> tuple[list[Connection], str]:
        if self.error is not None:
            raise self.error
        later = [record for id_, record in self.records.items() if id_ > after]
        return later[:limit], later[limit - 1].connection_id if len(later) > limit else ""

    def get_all(self, connection_ids: Sequence[str]) -> Iterator[Connection]:
        return (self.records[id_] for id_ in connection_ids if id_ in self.records)

    def list_subscriptions(self, connection_id: str) -> tuple[Mapping[str, Subscription], bool]:
        limited = Subscription("chaincast.v1", frozenset({"trade", "alert"}))
        return {"trades:anvil:*": limited, "system": Subscription("chaincast.v1")}, True

    def open_connections(self, owner: str) -> Sequence[str]:
        return ["a="] if owner == "user/ann" else []

    def request(self, method: str, path: str, **query: str) -> tuple[int, dict[str, Any]]:
        response = self.handler.routes.resolve(http_event(method, path, query=query), Context())  # type: ignore[arg-type]  # what Powertools reads of it
        return response["statusCode"], json.loads(response["body"])


def test_connections_are_listed_page_by_page() -> None:
    world = World()
    status, first = world.request("GET", "/connections", limit="1")
    assert (status, [c["id"] for c in first["connections"]], first["next"]) == (200, ["a="], "a=")
    _, last = world.request("GET", "/connections", limit="1", after=first["next"])
    assert ([c["id"] for c in last["connections"]], last["next"]) == (["b="], None)
    assert last["connections"][0]["user"] is None
    assert last["connections"][0]["lastSeen"] <= NOW


def test_a_connection_is_shown_with_its_subscriptions() -> None:
    status, document = World().request("GET", "/connections/a=")
    assert (status, document["user"]) == (200, "ann")
    assert document["subscriptions"] == [
        {"topic": "system", "kinds": None},
        {"topic": "trades:anvil:*", "kinds": ["alert", "trade"]},
    ]


def test_connections_are_closed_and_counted() -> None:
    world = World()
    assert world.request("DELETE", "/connections/b%3D") == (200, {"closed": 1})
    assert world.request("DELETE", "/connections/gone") == (200, {"closed": 0})
    assert world.request("DELETE", "/users/ann/connections") == (200, {"closed": 1})
    assert world.request("DELETE", "/users/bob/connections") == (200, {"closed": 0})
    assert world.api.closed == ["b=", "a="]
    assert world.metrics.counts["ConnectionsClosedByAdmin"] == 2


def test_without_counts_by_user_their_connections_cannot_be_closed() -> None:
    status, document = World(Limits()).request("DELETE", "/users/ann/connections")
    assert (status, document["code"]) == (409, "UNSUPPORTED")
    assert "connections_per_user" in document["message"]


@pytest.mark.parametrize(
    ("method", "path", "query", "status", "code"),
    [
        ("GET", "/connections/gone", {}, 404, "NOT_CONNECTED"),
        ("GET", "/connections", {"limit": "0"}, 400, "BAD_MESSAGE"),
        ("GET", "/connections", {"limit": "many"}, 400, "BAD_MESSAGE"),
        ("DELETE", "/users", {}, 404, "UNKNOWN_ROUTE"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused(
    method: str, path: str, query: dict[str, str], status: int, code: str
) -> None:
    answered, document = World().request(method, path, **query)
    assert (answered, document["code"]) == (status, code)


def test_a_failing_store_is_answered_without_details() -> None:
    world = World()
    world.error = RuntimeError("ResourceNotFoundException")
    status, document = world.request("GET", "/connections")
    assert (status, document["code"], "ResourceNotFound" in document["message"]) == (500, "INTERNAL", False)
