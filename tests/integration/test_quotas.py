"""Tests of quotas: connections and messages are counted exactly, even by many functions at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from chaincast.aws import environment
from chaincast.errors import Code, RequestError
from chaincast.policy.rate_limits import MINUTE_MS, Limits, MessageCounts
from chaincast.protocol.commands import User
from chaincast.sessions.cleanup import ConnectionCleanup
from chaincast.sessions.connection_store import Connection, ConnectionStore, activity_slot
from chaincast.sessions.message_rate import MessageRateCounter
from chaincast.sessions.quota_store import QuotaStore
from tests.integration.helpers import items, session_stores, set_identity

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = 1_700_000_000_000
IP = "ip/203.0.113.9"


@pytest.fixture(autouse=True)
def serialized_writes(database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Serialize writes, as DynamoDB does for one item; moto's threads interfere with each other."""
    update, lock = database.update_item, threading.Lock()

    def locked(**given: Any) -> Any:
        with lock:
            return update(**given)

    monkeypatch.setattr(database, "update_item", locked)


@pytest.fixture
def connections(database: DynamoDBClient) -> ConnectionStore:
    return ConnectionStore(database, environment.CONNECTIONS.lower())


@pytest.fixture
def quotas(database: DynamoDBClient, connections: ConnectionStore) -> QuotaStore:
    return QuotaStore(database, environment.STATE.lower(), connections)


def recorded_updates(database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which every further update expression is appended."""
    update, noted = database.update_item, []

    def note(**given: Any) -> Any:
        noted.append(given["UpdateExpression"])
        return update(**given)

    monkeypatch.setattr(database, "update_item", note)
    return noted


def enter(
    quotas: QuotaStore, name: str, now: int = NOW, *, per_minute: int = 10, at_once: int = 100, owner: str = IP
) -> tuple[Code | None, object]:
    try:
        quotas.admit(owner, name, now, per_minute=per_minute, at_once=at_once)
    except RequestError as error:
        return error.code, error.details.get("retry_after")
    return None, None


def test_of_200_concurrent_connections_exactly_the_limit_is_admitted(quotas: QuotaStore) -> None:
    with ThreadPoolExecutor(32) as threads:
        codes = Counter(code for code, _ in threads.map(lambda i: enter(quotas, f"c{i}"), range(200)))
    assert codes == {None: 10, Code.RATE_LIMITED: 190}
    assert len(items(environment.STATE)[0]["open"]["SS"]) == 10


def test_of_200_concurrent_connections_exactly_the_limit_is_open(
    quotas: QuotaStore, connections: ConnectionStore
) -> None:
    for i in range(200):
        connections.put(Connection(f"c{i}", "moonx", "203.0.113.9", "", NOW))
    with ThreadPoolExecutor(32) as threads:
        codes = threads.map(lambda i: enter(quotas, f"c{i}", per_minute=0, at_once=7)[0], range(200))
        assert Counter(codes) == {None: 7, Code.MAX_CONNECTIONS: 193}


def test_a_window_is_a_minute_from_its_first_connection(quotas: QuotaStore) -> None:
    assert [enter(quotas, f"a{i}", NOW + i, per_minute=2)[0] for i in range(3)] == [None, None, Code.RATE_LIMITED]
    assert enter(quotas, "b", NOW + 20_000, per_minute=2) == (Code.RATE_LIMITED, 40)
    assert enter(quotas, "c", NOW + MINUTE_MS, per_minute=2) == (None, None)
    assert enter(quotas, "d", NOW + MINUTE_MS + 59_999, per_minute=2) == (None, None)
    assert enter(quotas, "e", NOW + MINUTE_MS + 59_999, per_minute=2)[0] is Code.RATE_LIMITED


def test_owners_are_counted_separately(quotas: QuotaStore) -> None:
    for owner in ("ip/192.0.2.1", "ip/192.0.2.2", "user/ann"):
        assert enter(quotas, "x", per_minute=1, owner=owner) == (None, None)


def test_a_released_connection_makes_room_for_another(quotas: QuotaStore, connections: ConnectionStore) -> None:
    for name in ("a", "b", "c"):
        connections.put(Connection(name, "moonx", "203.0.113.9", "", NOW))
    assert [enter(quotas, name, at_once=2)[0] for name in "abc"] == [None, None, Code.MAX_CONNECTIONS]
    quotas.release(IP, ["a"])
    quotas.release(IP, ["a", "never"])
    quotas.release("ip/unknown", ["a"])
    assert [item["key"]["S"] for item in items(environment.STATE)] == [IP], "a release creates no item"
    assert enter(quotas, "c", at_once=2) == (None, None)


def test_connections_without_a_record_are_released_at_most_once_a_minute(
    quotas: QuotaStore, connections: ConnectionStore
) -> None:
    for name in ("b", "c"):
        connections.put(Connection(name, "moonx", "203.0.113.9", "", NOW))
    assert [enter(quotas, name, at_once=2)[0] for name in ("lost", "b", "c")] == [None, None, None]
    assert enter(quotas, "d", at_once=2)[0] is Code.MAX_CONNECTIONS
    connections.remove_all(["b"])
    assert enter(quotas, "d", NOW + 30_000, at_once=2)[0] is Code.MAX_CONNECTIONS
    assert enter(quotas, "d", NOW + MINUTE_MS, at_once=2) == (None, None)


def test_a_banned_owner_is_refused_until_the_ban_ends(quotas: QuotaStore) -> None:
    assert enter(quotas, "a") == (None, None)
    quotas.ban_until(IP, NOW + 30_000)
    assert enter(quotas, "b", NOW + 1) == (Code.RATE_LIMITED, 30)
    assert enter(quotas, "b", NOW + 30_000) == (None, None)


def test_an_owner_that_seldom_connects_costs_one_write(quotas: QuotaStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded_updates(quotas._client, monkeypatch)
    assert enter(quotas, "a") == (None, None)
    assert enter(quotas, "b", NOW + MINUTE_MS) == (None, None)
    assert len(calls) == 2
    for _ in range(5):
        enter(quotas, "c", NOW + MINUTE_MS, per_minute=1)
    assert len(calls) == 7, "a refusal costs one write, too"


def test_cleanup_releases_the_quotas_of_a_connection(
    quotas: QuotaStore, connections: ConnectionStore, database: DynamoDBClient
) -> None:
    limits = Limits(connections_per_ip=5, connections_per_user=5)
    cleanup = ConnectionCleanup(session_stores(), limits)
    for name in ("a", "b"):
        connections.put(Connection(name, "moonx", "203.0.113.9", "", NOW, user="ann"))
        assert enter(quotas, name) == enter(quotas, name, owner="user/ann") == (None, None)
    cleanup.remove(["a", "never"])
    places = {item["key"]["S"]: item["open"]["SS"] for item in items(environment.STATE) if "open" in item}
    assert places == {IP: ["b"], "user/ann": ["b"]}
    cleanup.remove(["a", "b"])
    assert not any("open" in item for item in items(environment.STATE))


def test_messages_are_counted_by_minute_with_one_write_each(
    quotas: QuotaStore, connections: ConnectionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = NOW - NOW % (5 * MINUTE_MS)
    writes = recorded_updates(connections._client, monkeypatch)
    connections.put(Connection("anon", "moonx", "203.0.113.9", "", begin))
    message_rate = MessageRateCounter(connections, quotas, Limits(messages_per_minute=5), users=True)

    def count(name: str, at: int) -> MessageCounts:
        counted = message_rate.count(name, at)
        assert counted is not None
        assert counted[0].connection_id == name
        return counted[1]

    assert [count("anon", begin + i).by_connection for i in range(4)] == [1, 2, 3, 4]
    assert count("anon", begin + MINUTE_MS) == MessageCounts(1)
    assert count("anon", begin + 30 * MINUTE_MS) == MessageCounts(1)
    assert len(writes) == 6
    [record] = items(environment.CONNECTIONS)
    assert len([name for name in record if name.startswith("m")]) <= 2, "counters of earlier minutes are removed"
    assert message_rate.count("gone", begin) is None


def test_messages_of_a_user_are_counted_over_all_connections_with_one_write_each(
    quotas: QuotaStore, connections: ConnectionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = NOW - NOW % (5 * MINUTE_MS)
    for name in ("a", "b"):
        connections.put(Connection(name, "moonx", "203.0.113.9", "", begin, user="ann"))
    connections.put(Connection("anon", "moonx", "203.0.113.9", "", begin))
    message_rate = MessageRateCounter(
        connections, quotas, Limits(messages_per_minute=5, messages_per_user=9), users=True
    )
    writes = recorded_updates(connections._client, monkeypatch)
    counted = [message_rate.count(name, begin + 1) for name in ("a", "a", "b", "anon", "a")]
    assert [counts for _, counts in filter(None, counted)] == [
        MessageCounts(1, 1),
        MessageCounts(2, 2),
        MessageCounts(1, 3),
        MessageCounts(1, 0),
        MessageCounts(3, 4),
    ]
    assert len(writes) == 5
    later = message_rate.count("a", begin + 5 * MINUTE_MS)
    assert later is not None
    assert later[1] == MessageCounts(1), "the message that updates the activity slot is counted in the record"
    assert connections.get("a") is not None
    assert later[0].active_slot == activity_slot(begin + 5 * MINUTE_MS)
    assert len(writes) == 6


def test_200_messages_at_once_are_counted_exactly(quotas: QuotaStore, connections: ConnectionStore) -> None:
    connections.put(Connection("a", "moonx", "203.0.113.9", "", NOW, user="ann"))
    message_rate = MessageRateCounter(
        connections, quotas, Limits(messages_per_minute=5, messages_per_user=9), users=True
    )
    with ThreadPoolExecutor(16) as threads:
        counted = [*threads.map(lambda _: message_rate.count("a", NOW), range(200))]
    assert sorted(counts.by_user for _, counts in filter(None, counted)) == list(range(1, 201))


def test_a_record_contains_the_user_and_the_end_of_the_token(connections: ConnectionStore) -> None:
    connections.put(Connection("a", "moonx", "203.0.113.9", "", NOW, user="ann", user_until=77, premium=True))
    record = connections.get("a")
    assert record is not None
    assert (record.user, record.user_until, record.premium) == ("ann", 77, True)
    set_identity("a", user=User("bob"))
    record = connections.get("a")
    assert record is not None
    assert (record.user, record.user_until, record.premium) == ("bob", 0, False)
