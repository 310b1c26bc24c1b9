from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from chaincast.aws import environment
from chaincast.aws.transactions import transact
from chaincast.errors import Code, RequestError
from chaincast.model.sharding import subscription_partition
from chaincast.policy.rate_limits import Limits
from chaincast.protocol.commands import User
from chaincast.sessions import subscription_store
from chaincast.sessions.cleanup import HANDSHAKE_MS, ConnectionCleanup
from chaincast.sessions.connection_store import Connection, ConnectionStore, IdentityChanged
from chaincast.sessions.subscription_index import index_key
from chaincast.sessions.subscription_store import Subscription, SubscriptionStore
from tests.integration.helpers import items, session_stores
from tests.integration.helpers import subscriptions as make_subscriptions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

NOW = 1_700_000_000_000
V1 = "chaincast.v1"


@pytest.fixture
def subscriptions() -> SubscriptionStore:
    """Return the store, with records of connections that a test may use."""
    connections = session_stores().connections
    for name in ("c1", "c2", "c3"):
        connections.put(Connection(name, V1, "", "", NOW))
    return make_subscriptions(4)


def rows(connection_id: str = "c1") -> set[str]:
    """Return the partition keys of a connection's rows."""
    keys = {i["topic_shard"]["S"] for i in items(environment.SUBSCRIPTIONS) if i["connection_id"]["S"] == connection_id}
    return keys - {index_key(connection_id)}


def indexed(connection_id: str = "c1") -> set[str]:
    """Return the topics in a connection's index item."""
    matching = [i for i in items(environment.SUBSCRIPTIONS) if i["topic_shard"]["S"] == index_key(connection_id)]
    return set(matching[0].get("topics", {}).get("SS", [])) if matching else set()


def at(*topics: str, connection_id: str = "c1") -> set[str]:
    return {subscription_partition(t, connection_id, 4) for t in topics}


def test_a_row_per_topic_in_the_connections_shard(subscriptions: SubscriptionStore) -> None:
    subscriptions.add("c1", V1, ["a:1", "b:2"], (), 50, NOW)
    assert rows() == at("a:1", "b:2")
    assert indexed() == {"a:1", "b:2"}
    row = next(i for i in items(environment.SUBSCRIPTIONS) if i["topic_shard"]["S"] in rows())
    assert row["dialect"]["S"] == V1
    assert int(row["expires_at"]["N"]) > NOW // 1000 + 7200


def test_subscribing_again_changes_nothing(subscriptions: SubscriptionStore) -> None:
    subscriptions.add("c1", V1, ["a:1"], (), 1, NOW)
    subscriptions.add("c1", V1, ["a:1"], (), 1, NOW)
    assert rows() == at("a:1")


def test_a_subscribe_beyond_the_limit_is_refused_as_a_whole(subscriptions: SubscriptionStore) -> None:
    subscriptions.add("c1", V1, ["a:1", "a:2"], (), 3, NOW)
    with pytest.raises(RequestError, match="4 topics would be subscribed; at most 3") as caught:
        subscriptions.add("c1", V1, ["a:2", "a:3", "a:4"], (), 3, NOW)
    assert caught.value.code == Code.MAX_SUBSCRIPTIONS
    assert rows() == at("a:1", "a:2")
    assert indexed() == {"a:1", "a:2"}
    subscriptions.add("c1", V1, ["a:3"], (), 3, NOW)


def test_more_topics_than_one_batch_write_takes(subscriptions: SubscriptionStore) -> None:
    topics = [f"price:S{i}" for i in range(60)]
    subscriptions.add("c1", V1, topics, (), 100, NOW)
    assert rows() == at(*topics)
    subscriptions.remove("c1", topics[:40])
    assert rows() == at(*topics[40:])
    assert indexed() == set(topics[40:])


def test_removing_a_topic_that_is_not_subscribed_is_no_error(subscriptions: SubscriptionStore) -> None:
    subscriptions.remove("c1", ["a:1"])
    assert items(environment.SUBSCRIPTIONS) == []
    subscriptions.add("c1", V1, ["a:1"], (), 5, NOW)
    subscriptions.remove("c1", ["a:1", "a:2"])
    assert rows() == set()


def test_the_shards_of_a_connections_rows_never_change(subscriptions: SubscriptionStore) -> None:
    subscriptions.add("c1", V1, ["a:1", "b:2"], (), 5, NOW)
    later = make_subscriptions(8)
    later.add("c1", V1, ["c:3"], (), 5, NOW)
    later.add("c2", V1, ["c:3"], (), 5, NOW)
    assert rows() == at("a:1", "b:2", "c:3")
    assert rows("c2") == {subscription_partition("c:3", "c2", 8)}
    later.remove("c1", ["b:2"])
    assert rows() == at("a:1", "c:3")
    later.remove_all(["c1", "c2"])
    assert items(environment.SUBSCRIPTIONS) == []


def test_kinds_are_stored_in_the_rows(subscriptions: SubscriptionStore) -> None:
    subscriptions.add("c1", V1, ["a:1"], ("trade", "alert"), 5, NOW)
    subscriptions.add("c1", V1, ["b:2"], (), 5, NOW)
    assert subscriptions.list_subscriptions("c1") == (
        {"a:1": Subscription(V1, frozenset({"trade", "alert"})), "b:2": Subscription(V1)},
        True,
    )
    assert subscriptions.list_subscriptions("c2") == ({}, True)


def test_subscriptions_are_incomplete_while_a_topic_has_no_row(
    subscriptions: SubscriptionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More topics than a transaction takes are written in several, and a replay waits for the last."""
    topics = [f"price:S{i:03d}" for i in range(150)]
    seen = []

    def observed(client: DynamoDBClient, writes: Sequence[TransactWriteItemTypeDef]) -> None:
        transact(client, writes)
        found, complete = subscriptions.list_subscriptions("c1")
        seen.append((len(found), complete))

    monkeypatch.setattr(subscription_store, "transact", observed)
    subscriptions.add("c1", V1, topics, (), 200, NOW)
    assert seen == [(98, False), (150, True)]
    subscriptions.remove("c1", topics[1:])
    assert (rows(), indexed()) == (at(topics[0]), {topics[0]})


def test_a_connection_without_a_record_gets_no_rows(subscriptions: SubscriptionStore) -> None:
    with pytest.raises(IdentityChanged):
        subscriptions.add("closed", V1, ["a:1"], (), 5, NOW)
    assert items(environment.SUBSCRIPTIONS) == []


def test_a_change_of_identity_removes_topics_and_ends_what_was_decided_before(
    subscriptions: SubscriptionStore,
) -> None:
    connections = session_stores().connections
    subscriptions.set_identity("c1", 0, lambda topic: True, user=User("ann"))
    subscriptions.add("c1", V1, ["orders:ann", "a:1"], (), 5, NOW, identity=1)
    with pytest.raises(IdentityChanged):
        subscriptions.set_identity("c1", 0, lambda topic: True, user=User("eve"))
    subscriptions.set_identity("c1", 1, lambda topic: topic == "orders:ann", user=User("bob"), joined=True)
    record = connections.get("c1")
    assert record is not None
    assert (record.user, record.joined, record.identity) == ("bob", True, 2)
    assert (rows(), indexed()) == (at("a:1"), {"a:1"})
    with pytest.raises(IdentityChanged):
        subscriptions.add("c1", V1, ["orders:ann"], (), 5, NOW, identity=1)
    assert indexed() == {"a:1"}


@pytest.fixture
def cleanup() -> ConnectionCleanup:
    return ConnectionCleanup(session_stores(), Limits())


def test_cleanup_removes_all_rows_and_none_of_other_connections(
    subscriptions: SubscriptionStore, cleanup: ConnectionCleanup
) -> None:
    for name in ("c1", "c2", "c3"):
        subscriptions.add(name, V1, ["a:1", "b:2"], (), 5, NOW)
    assert cleanup.remove(["c1", "c3"]).writes == 2 + 4 + 2
    cleanup.remove(["c1"])
    assert rows() == indexed() == rows("c3") == set()
    assert rows("c2") == at("a:1", "b:2", connection_id="c2")


def test_who_may_still_be_opening_is_not_removed_although_posts_to_it_fail(
    subscriptions: SubscriptionStore, database: DynamoDBClient
) -> None:
    table = environment.CONNECTIONS.lower()
    ages = {"opening": 1_000, "old": HANDSHAKE_MS}
    for name, age in ages.items():
        ConnectionStore(database, table).put(Connection(name, V1, "", "", NOW - age))
    ConnectionStore(database, table).put(Connection("no record", V1, "", "", NOW))
    for name in (*ages, "no record"):
        subscriptions.add(name, V1, ["a:1"], (), 5, NOW)
    ConnectionStore(database, table).remove_all(["no record", "c1", "c2", "c3"])
    cleanup = ConnectionCleanup(session_stores(), Limits(), lambda: NOW)
    removed = cleanup.remove_gone(["opening", "old", "no record"], ["a:1"], [1])
    assert [connection.connection_id for connection in removed.connections] == ["old"]
    assert [item["connection_id"]["S"] for item in items(environment.CONNECTIONS)] == ["opening"]
    assert rows("opening") == at("a:1", connection_id="opening")
    assert rows("old") == rows("no record") == set()


def test_hundreds_of_connections_are_removed_in_batches(
    subscriptions: SubscriptionStore, cleanup: ConnectionCleanup
) -> None:
    names = [f"c{i}" for i in range(130)]
    connections = session_stores().connections
    for name in names:
        connections.put(Connection(name, V1, "", "", NOW))
        subscriptions.add(name, V1, ["a:1"], (), 5, NOW)
    cleanup.remove(names)
    assert items(environment.SUBSCRIPTIONS) == []


def test_a_row_without_an_index_item_is_removed_by_the_topics_and_shards_of_the_caller(
    subscriptions: SubscriptionStore, cleanup: ConnectionCleanup, database: DynamoDBClient
) -> None:
    subscriptions.add("c1", V1, ["a:1"], (), 5, NOW)
    key = {"topic_shard": {"S": index_key("c1")}, "connection_id": {"S": "c1"}}
    database.delete_item(TableName=environment.SUBSCRIPTIONS.lower(), Key=key)
    cleanup.remove(["c1"], ["a:1"], [1, 4])
    assert items(environment.SUBSCRIPTIONS) == []
