from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chaincast.aws import environment
from chaincast.protocol.commands import User
from chaincast.sessions.connection_store import (
    ACTIVITY_SLOT_SECONDS,
    Connection,
    ConnectionStore,
    IdentityChanged,
    activity_slot,
)
from tests.integration.helpers import items, set_identity, subscriptions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = 1_700_000_000_000
MINUTE = 60_000


@pytest.fixture
def connections(database: DynamoDBClient) -> ConnectionStore:
    return ConnectionStore(database, environment.CONNECTIONS.lower())


def connection(name: str, at: int = NOW) -> Connection:
    return Connection(name, "chaincast.v1", "203.0.113.9", "https://app.example", at)


def test_marking_a_connection_as_active_returns_its_record(connections: ConnectionStore) -> None:
    connections.put(connection("c1="))
    assert connections.get("c1=") is not None
    assert connections.mark_active("c1=", NOW + 1) == replace(connection("c1="), active_slot=activity_slot(NOW))


def test_marking_a_connection_as_active_creates_no_record(connections: ConnectionStore) -> None:
    assert connections.mark_active("gone", NOW) is None
    assert items(environment.CONNECTIONS) == []


def test_records_expire_after_api_gateways_longest_connection(connections: ConnectionStore) -> None:
    connections.put(connection("c1"))
    assert int(items(environment.CONNECTIONS)[0]["expires_at"]["N"]) >= NOW // 1000 + 7200


def test_idle_connections_are_those_without_recent_activity(connections: ConnectionStore) -> None:
    for i in range(40):
        connections.put(connection(f"old{i}", NOW))
    connections.put(connection("new", NOW + 20 * MINUTE))
    connections.mark_active("old7", NOW + 20 * MINUTE)
    quiet = set(connections.idle_since("chaincast.v1", activity_slot(NOW + 20 * MINUTE)))
    assert quiet == {(f"old{i}", activity_slot(NOW)) for i in range(40) if i != 7}
    assert set(connections.idle_since("other", activity_slot(NOW + 20 * MINUTE))) == set()


def test_all_messages_in_one_slot_leave_the_index_as_it_is() -> None:
    assert activity_slot(NOW) == activity_slot(NOW - NOW % (ACTIVITY_SLOT_SECONDS * 1000))
    assert activity_slot(NOW + ACTIVITY_SLOT_SECONDS * 1000) == activity_slot(NOW) + 1


def test_deleting_is_repeatable(connections: ConnectionStore) -> None:
    connections.put(connection("c1"))
    connections.remove_all(["c1", "c2"])
    connections.remove_all(["c1"])
    assert connections.get("c1") is None


def test_identity_and_dialect_are_recorded(connections: ConnectionStore) -> None:
    connections.put(replace(connection("c1"), undecided=True))
    set_identity("c1", user=User("ann"))
    set_identity("c1", joined=True)
    set_identity("c1")
    connections.set_dialect("c1", "coremem")
    record = connections.mark_active("c1", NOW)
    assert record is not None
    assert (record.user, record.joined, record.undecided, record.dialect) == ("ann", True, False, "coremem")
    assert [c for c, _ in connections.idle_since("coremem", activity_slot(NOW) + 1)] == ["c1"]
    assert [*connections.idle_since("chaincast.v1", activity_slot(NOW) + 1)] == []


def test_identity_and_dialect_of_a_closed_connection_are_not_recorded(connections: ConnectionStore) -> None:
    with pytest.raises(IdentityChanged):
        subscriptions().set_identity("gone", 0, lambda topic: False, user=User("ann"), joined=True)
    connections.set_dialect("gone", "coremem")
    assert connections.get("gone") is None
