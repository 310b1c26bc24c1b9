"""Tests of the heartbeat handler with fakes: pings, look-ups, silent clients, and the end of the time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

import pytest

from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.metrics.logger import make_logger
from chaincast.sessions import heartbeat_handler
from chaincast.sessions.connection_store import Connection, activity_slot
from chaincast.sessions.heartbeat_handler import DEADLINE_MARGIN_MS, SILENT_SLOTS, HeartbeatHandler
from tests.unit.handler_fakes import (
    NOW,
    SETTINGS,
    CountingMetrics,
    RecordingCleanup,
    RecordingConnectionApi,
    connection,
)

SLOT = activity_slot(NOW)


class Poster:
    """A poster that records pinged connections. `gone`: those that API Gateway no longer knows."""

    def __init__(self, *gone: str) -> None:
        self.gone = gone
        self.pinged: list[str] = []

    async def deliver(self, payloads: Iterable[bytes], connections: Iterable[str]) -> Outcomes:
        names = [*connections]
        self.pinged += names
        gone = [name for name in names if name in self.gone]
        return Outcomes(posted=len(names) - len(gone), gone=gone)


class World:
    """A heartbeat handler with fakes. `connections`: dialect → ids, each with the slot of its last activity."""

    def __init__(self, connections: dict[str, dict[str, int]], poster: Poster, *open_ids: str) -> None:
        self.connections = connections
        self.active: list[str] = []
        self.sources: list[str] = []
        self.poster, self.api = poster, RecordingConnectionApi(open_ids)
        self.cleanup = RecordingCleanup(*(connection(i, d) for d, ids in connections.items() for i in ids))
        self.metrics = CountingMetrics()

    def idle_since(self, dialect: str, slot: int) -> Iterator[tuple[str, int]]:
        return ((id_, last) for id_, last in self.connections.get(dialect, {}).items() if last < slot)

    def mark_active(self, connection_id: str, now_ms: int) -> Connection | None:
        self.active.append(connection_id)
        return None

    def requeue_missing(self, source: str) -> int:
        self.sources.append(source)
        return 2

    def beat(self, *remaining_ms: int) -> dict[str, int]:
        """Run a heartbeat. The remaining times are returned one after the other."""
        times, loop = [*remaining_ms], asyncio.new_event_loop()
        handler = HeartbeatHandler(
            SETTINGS,
            self,
            self.cleanup,
            self.api,
            self.poster,
            loop,
            self,
            self.metrics,
            make_logger("test"),
            lambda: NOW,
        )
        try:
            return handler.handle(lambda: times.pop(0) if times else 60_000)
        finally:
            loop.close()


def counts(**expected: int) -> dict[str, int]:
    return {"asked": 0, "pinged": 0, "silent": 0, "gone": 0, "left": 0, "failed": 0, "healed": 2, **expected}


def test_without_connections_only_batches_are_enqueued() -> None:
    world = World({}, Poster())
    assert world.beat() == counts()
    assert world.sources == ["app-0"]


def test_idle_connections_of_clients_that_ping_are_looked_up() -> None:
    ids = {"busy": SLOT, "recent": SLOT - 1, "idle": SLOT - 2, "gone": SLOT - 9}
    world = World({"chaincast.v1": ids}, Poster(), "busy", "recent", "idle")
    assert world.beat() == counts(asked=2, gone=1)
    assert (world.active, world.cleanup.removed, world.poster.pinged) == (["idle"], ["gone"], [])
    assert (
        world.metrics.counts["StaleConnectionsRemoved"] == world.metrics.counts["ConnectionsClosed chaincast.v1"] == 1
    )


def test_all_connections_of_a_dialect_whose_server_pings_are_pinged() -> None:
    world = World({"moonx": {"busy": SLOT, "idle": SLOT - 9, "gone": SLOT}}, Poster("gone"))
    assert world.beat() == counts(pinged=2, gone=1)
    assert world.poster.pinged == ["busy", "idle", "gone"]
    assert world.cleanup.removed == ["gone"]
    assert world.metrics.counts["MessagesOut ping"] == 2


def test_clients_that_answer_no_ping_are_closed_and_removed() -> None:
    silent, alive = SLOT - SILENT_SLOTS, SLOT - SILENT_SLOTS + 1
    world = World({"socketio": {"silent": silent, "alive": alive}}, Poster())
    assert world.beat() == counts(pinged=1, silent=1)
    assert (world.api.closed, world.cleanup.removed, world.poster.pinged) == (["silent"], ["silent"], ["alive"])
    assert world.metrics.counts["PingTimeouts"] == 1


def test_when_the_time_is_up_the_rest_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat_handler, "WINDOW_CONNECTIONS", 2)
    world = World({"moonx": {f"c{number}": SLOT for number in range(5)}}, Poster())
    assert world.beat(60_000, DEADLINE_MARGIN_MS - 1) == counts(pinged=2, left=1)
    assert world.sources == ["app-0"], "batches are enqueued nevertheless"


def fails(*_: object) -> None:
    raise RuntimeError("throttled")


@pytest.mark.parametrize("request_name", ["close", "is_open"])
def test_a_request_that_fails_affects_only_its_connection(monkeypatch: pytest.MonkeyPatch, request_name: str) -> None:
    connections = {"chaincast.v1": {"idle": SLOT - 2}, "socketio": {"silent": SLOT - 9, "alive": SLOT}}
    world = World(connections, Poster(), "idle")
    monkeypatch.setattr(world.api, request_name, fails)
    found = world.beat()
    assert (found["failed"], found["pinged"], found["asked"]) == (1, 1, 1)
    failed = {"close": "silent", "is_open": "idle"}[request_name]
    assert failed not in world.cleanup.removed, "the next heartbeat finds it again"
    assert world.metrics.counts["HeartbeatErrors"] == 1


def test_connections_are_pinged_whatever_else_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World({"chaincast.v1": {"gone": SLOT - 9}, "socketio": {"alive": SLOT}}, Poster())
    monkeypatch.setattr(world, "requeue_missing", fails)
    monkeypatch.setattr(world.cleanup, "remove_gone", fails)
    assert world.beat() == counts(asked=1, pinged=1, gone=1, healed=0)
    assert world.poster.pinged == ["alive"]


def test_batches_are_enqueued_before_and_server_pings_sent_before_look_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    world = World({"chaincast.v1": {"idle": SLOT - 9}, "socketio": {"alive": SLOT}}, Poster(), "idle")

    def noting(step: str, method: Callable[..., object]) -> Callable[..., object]:
        def noted(*given: object) -> object:
            order.append(step)
            return method(*given)

        return noted

    monkeypatch.setattr(world, "requeue_missing", noting("enqueue", world.requeue_missing))
    monkeypatch.setattr(world.poster, "deliver", noting("ping", world.poster.deliver))
    monkeypatch.setattr(world.api, "is_open", noting("look up", world.api.is_open))
    world.beat()
    assert order == ["enqueue", "ping", "look up"]
