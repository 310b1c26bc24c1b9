from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chaincast.aws import environment
from chaincast.protocol.commands import User
from chaincast.sessions.connection_store import SLOT_SECONDS, Connection, Connections, slot
from tests.integration.helpers import items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = 1_700_000_000_000
MINUTE = 60_000


@pytest.fixture
def connections(database: DynamoDBClient) -> Connections:
    return Connections(database, environment.CONNECTIONS.lower())


def connection(name: str, at: int = NOW) -> Connection:
    return Connection(name, "chaincast.v1", "203.0.113.9", "https://app.example", at)


def test_a_record_comes_back_with_a_touch(connections: Connections) -> None:
    connections.put(connection("c1="))
    assert connections.get("c1=") is not None
    assert connections.touch("c1=", NOW + 1) == replace(connection("c1="), seen=slot(NOW))


def test_a_touch_never_makes_a_record(connections: Connections) -> None:
    assert connections.touch("gone", NOW) is None
    assert items(environment.CONNECTIONS) == []


def test_records_expire_after_api_gateways_longest_connection(connections: Connections) -> None:
    connections.put(connection("c1"))
    assert int(items(environment.CONNECTIONS)[0]["expires_at"]["N"]) >= NOW // 1000 + 7200


def test_the_quiet_are_those_not_heard_of_lately(connections: Connections) -> None:
    for i in range(40):
        connections.put(connection(f"old{i}", NOW))
    connections.put(connection("new", NOW + 20 * MINUTE))
    connections.touch("old7", NOW + 20 * MINUTE)
    quiet = set(connections.quiet("chaincast.v1", slot(NOW + 20 * MINUTE)))
    assert quiet == {(f"old{i}", slot(NOW)) for i in range(40) if i != 7}
    assert set(connections.quiet("other", slot(NOW + 20 * MINUTE))) == set()


def test_messages_in_one_slot_do_not_write_the_index_again() -> None:
    assert slot(NOW) == slot(NOW - NOW % (SLOT_SECONDS * 1000))
    assert slot(NOW + SLOT_SECONDS * 1000) == slot(NOW) + 1


def test_deleting_is_repeatable(connections: Connections) -> None:
    connections.put(connection("c1"))
    connections.remove_all(["c1", "c2"])
    connections.remove_all(["c1"])
    assert connections.get("c1") is None


def test_what_is_learnt_of_a_connection_stays_with_it(connections: Connections) -> None:
    connections.put(replace(connection("c1"), undecided=True))
    connections.know("c1", user=User("ann"))
    connections.know("c1", joined=True)
    connections.know("c1")
    connections.decide("c1", "coremem")
    found = connections.touch("c1", NOW)
    assert found is not None
    assert (found.user, found.joined, found.undecided, found.dialect) == ("ann", True, False, "coremem")
    assert [c for c, _ in connections.quiet("coremem", slot(NOW) + 1)] == ["c1"]
    assert [*connections.quiet("chaincast.v1", slot(NOW) + 1)] == []


def test_what_is_learnt_of_one_that_is_gone_is_forgotten(connections: Connections) -> None:
    connections.know("gone", user=User("ann"), joined=True)
    connections.decide("gone", "coremem")
    assert connections.get("gone") is None
