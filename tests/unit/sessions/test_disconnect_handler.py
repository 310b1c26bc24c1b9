"""Tests of the disconnect handler with a fake cleanup."""

from __future__ import annotations

from chaincast.sessions.disconnect_handler import DisconnectHandler
from tests.unit.handler_fakes import CountingMetrics, RecordingCleanup, connection, websocket_event


def test_the_connection_is_removed_and_counted_once() -> None:
    cleanup, metrics = RecordingCleanup(connection("c1", "moonx")), CountingMetrics()
    handler = DisconnectHandler(cleanup, metrics)
    for _ in range(2):  # AWS may invoke a function twice for one event
        assert handler.handle(websocket_event("DISCONNECT")) == {"statusCode": 200}
    assert cleanup.removed == ["c1", "c1"]
    assert metrics.counts == {"ConnectionsClosed moonx": 1}


def test_a_message_that_is_routed_here_removes_nothing() -> None:
    cleanup, metrics = RecordingCleanup(connection()), CountingMetrics()
    event = websocket_event("MESSAGE", {"type": "$disconnect"})
    assert DisconnectHandler(cleanup, metrics).handle(event) == {"statusCode": 200}
    assert (cleanup.removed, metrics.counts) == ([], {"ReservedRouteMessages": 1})
