"""Faults that tests plant in the product's code, one at a time, to show that the exploration finds their kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import patch

from chaincast.aws.dynamodb_batch import delete_returning_old
from chaincast.aws.transactions import transact as _transact
from chaincast.sessions import subscription_store
from chaincast.sessions.cleanup import ConnectionCleanup
from chaincast.sessions.subscription_index import index_key, parse_index
from chaincast.sessions.subscription_store import SubscriptionStore, _key, _row_keys

Plant = Callable[[], Any]
"""Returns a context manager in which the product has the fault. Only a whole run may be within it: actors that enter
and leave contexts of their own in turns would leave the fault behind."""


def _without_condition(key: str) -> Callable[[Any, Sequence[Any]], None]:
    """Return `transact` that does not check conditions of items whose partition begins with `key`."""

    def transact(client: Any, writes: Sequence[Any]) -> None:
        kept: list[Any] = []
        for write in writes:
            ((kind, document),) = write.items()
            item = document.get("Key", {}).get("topic_shard", {}).get("S", "connections")
            if item.startswith(key) and "ConditionExpression" in document:
                if kind == "ConditionCheck":
                    continue
                document = {name: value for name, value in document.items() if name != "ConditionExpression"}
                names, values = document.get("ExpressionAttributeNames", {}), document["ExpressionAttributeValues"]
                text = document["UpdateExpression"]
                document["ExpressionAttributeNames"] = {n: v for n, v in names.items() if n in text}
                document["ExpressionAttributeValues"] = {n: v for n, v in values.items() if n in text}
            kept.append({kind: document})
        _transact(client, kept)

    return transact


def _one_by_one(client: Any, writes: Sequence[Any]) -> None:
    """Carry out the writes of a transaction one after the other."""
    for write in writes:
        _transact(client, [write])


def _rows_stay(client: Any, writes: Sequence[Any]) -> None:
    _transact(client, [write for write in writes if "Delete" not in write])


def _add_for_anyone(
    self: SubscriptionStore, connection_id: str, *arguments: Any, identity: int = 0, **more: Any
) -> None:
    index, _ = self._read(connection_id)
    _add(self, connection_id, *arguments, identity=identity if index.version is None else index.identity, **more)


_add = SubscriptionStore.add


def _set_identity_later(self: SubscriptionStore, connection_id: str, identity: int, remove: Any, **more: Any) -> None:
    """Remove topics before the identity changes, in a transaction of their own."""
    self.remove_matching(connection_id, remove)
    _set_identity(self, connection_id, identity, lambda topic: False, **more)


def _set_identity_first(self: SubscriptionStore, connection_id: str, identity: int, remove: Any, **more: Any) -> None:
    """Change the record without the index item."""
    change = self._connections.identity_change(connection_id, identity, **more)
    self._change_with(change, [])
    self.remove_matching(connection_id, remove)


_set_identity = SubscriptionStore.set_identity


def _remove_subscriptions_first(self: ConnectionCleanup, connection_ids: Sequence[str], *more: Any) -> Any:
    self._stores.subscriptions.remove_all(connection_ids, *more)
    removed = self._stores.connections.remove_all(connection_ids)
    self._stores.open_counter.closed(removed)
    return type("Removed", (), {"connections": removed, "writes": 0, "dialects": []})()


def _remove_all_as_read(self: SubscriptionStore, connection_ids: Sequence[str], *_: Any) -> int:
    """Ignore topics that are added after the index item was read."""
    indexes = self._indexes(connection_ids)
    self._delete(row for c, index in indexes.items() for row in _row_keys(c, index.topics, [index.shards]))
    deleted = delete_returning_old(self._client, self._table, [_key(index_key(c), c) for c in indexes])
    for item in deleted:
        index = parse_index(item, 1, 0)
        change = (item["connection_id"]["S"], index.period, -len(index.topics))
        self._open_counter.subscriptions_changed([change])
    return len(deleted)


PLANTED: Mapping[str, Plant] = {
    "the version of the index item is not checked": lambda: patch.object(
        subscription_store, "transact", _without_condition("connection/")
    ),
    "the record is not checked": lambda: patch.object(
        subscription_store, "transact", _without_condition("connections")
    ),
    "a transaction's writes are made one by one": lambda: patch.object(subscription_store, "transact", _one_by_one),
    "rows stay when their topics are removed": lambda: patch.object(subscription_store, "transact", _rows_stay),
    "a decision for another identity is stored": lambda: patch.object(SubscriptionStore, "add", _add_for_anyone),
    "private topics are removed before the identity changes": lambda: patch.object(
        SubscriptionStore, "set_identity", _set_identity_later
    ),
    "the identity changes without the index item": lambda: patch.object(
        SubscriptionStore, "set_identity", _set_identity_first
    ),
    "subscriptions are removed before the record": lambda: patch.object(
        ConnectionCleanup, "remove", _remove_subscriptions_first
    ),
    "topics added during a cleanup are left": lambda: patch.object(
        SubscriptionStore, "remove_all", _remove_all_as_read
    ),
}
"""How each fault is planted, by a description of it."""
