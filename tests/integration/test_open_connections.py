"""Tests of the numbers of open connections: correct however often and by whichever function one is removed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from chaincast.aws import dynamodb_batch as writes
from chaincast.aws import environment
from chaincast.errors import RequestError
from chaincast.policy.rate_limits import Limits
from chaincast.sessions.cleanup import ConnectionCleanup
from chaincast.sessions.connection_store import MAX_CONNECTION_SECONDS, Connection
from chaincast.sessions.open_connections import GRACE_SECONDS, PERIOD_SECONDS, OpenConnectionCounter
from tests.integration.helpers import items, session_stores

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = 1_700_000_000_000
V1 = "chaincast.v1"


class World:
    """Stores of sessions, with connections that are opened, subscribed and removed."""

    def __init__(self) -> None:
        stores = session_stores()
        self.open_counter, self.records, self.rows = stores.open_counter, stores.connections, stores.subscriptions
        self.cleanup = ConnectionCleanup(stores, Limits())

    def open(self, name: str, *topics: str, dialect: str = V1, now: int = NOW) -> Connection:
        connection = Connection(name, dialect, "203.0.113.9", "", now)
        self.records.put(connection)
        self.open_counter.opened(connection)
        if topics:
            self.rows.add(name, dialect, topics, (), 5, now)
        return connection

    def counted(self, now: int = NOW) -> dict[str, int]:
        return {name: count for name, count in self.open_counter.read(now).items() if count}


@pytest.fixture
def world() -> World:
    return World()


def test_connections_and_subscriptions_are_counted_once(world: World) -> None:
    for number in range(20):
        world.open(f"c{number}", "a:1", "b:2")
    world.open("m", dialect="moonx")
    world.rows.add("c0", V1, ["b:2", "c:3"], (), 5, NOW)
    world.rows.remove("c1", ["a:1", "never"])
    assert world.counted() == {
        "Connections|dialect=chaincast.v1": 20,
        "Connections|dialect=moonx": 1,
        "Subscriptions": 40,
    }


def test_a_refused_subscribe_counts_nothing(world: World) -> None:
    world.open("c", "a:1")
    with pytest.raises(RequestError):
        world.rows.add("c", V1, [f"t:{n}" for n in range(9)], (), 5, NOW)
    assert world.counted()["Subscriptions"] == 1


def test_a_connection_that_is_removed_twice_is_subtracted_once(world: World) -> None:
    for name in "abc":
        world.open(name, "a:1", "b:2")
    assert [c.connection_id for c in world.cleanup.remove(["a", "b", "never"]).connections] == ["a", "b"]
    assert world.cleanup.remove(["a", "b"]).connections == []
    assert world.counted() == {"Connections|dialect=chaincast.v1": 1, "Subscriptions": 2}


def test_concurrent_removals_subtract_a_connection_once(
    world: World, database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto's single operations are not atomic under threads; DynamoDB's are.
    lock, send = Lock(), database._make_api_call  # type: ignore[attr-defined]  # what every operation goes through

    def one_by_one(*arguments: Any) -> Any:
        with lock:
            return send(*arguments)

    monkeypatch.setattr(database, "_make_api_call", one_by_one)
    names = [f"c{number}" for number in range(30)]
    for name in names:
        world.open(name, "a:1")
    with ThreadPoolExecutor(4) as threads:
        removals = list(threads.map(lambda _: world.cleanup.remove(names), range(4)))
    assert sum(len(f.connections) for f in removals) == 30
    assert world.counted() == {}


def test_connections_that_are_removed_in_batches_are_subtracted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "SINGLY", 3)
    names = [f"c{number}" for number in range(8)]
    for name in names:
        world.open(name, "a:1")
    assert len(world.cleanup.remove(names).connections) == 8
    assert world.counted() == {}


def test_a_change_of_dialect_moves_the_connection(world: World) -> None:
    connection = world.open("c")
    world.open_counter.dialect_changed(connection, "coremem")
    assert world.counted() == {"Connections|dialect=coremem": 1}


def test_a_connection_that_was_never_subtracted_is_ignored_after_its_maximum_lifetime(world: World) -> None:
    world.open("lost", "a:1")  # its end is never counted
    alive = NOW + MAX_CONNECTION_SECONDS * 1000
    world.open("new", now=alive)
    assert world.counted(alive) == {"Connections|dialect=chaincast.v1": 2, "Subscriptions": 1}
    corrected = NOW + (MAX_CONNECTION_SECONDS + GRACE_SECONDS + PERIOD_SECONDS) * 1000
    assert world.counted(corrected) == {"Connections|dialect=chaincast.v1": 1}
    ends = {int(item["expires_at"]["N"]) for item in items(environment.STATE) if item["key"]["S"].startswith("open/")}
    assert min(ends) > corrected // 1000, "no item expires before that"


def test_a_failed_write_is_only_logged(
    world: World, database: DynamoDBClient, caplog: pytest.LogCaptureFixture
) -> None:
    OpenConnectionCounter(database, "no-such-table").opened(world.open("c"))
    assert [record.message for record in caplog.records] == ["not counted"]
