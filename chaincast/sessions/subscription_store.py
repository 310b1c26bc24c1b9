"""The Subscriptions table, as clients' messages change it. Fan-out reads it in chaincast/fanout/subscribers.py.

The table has a row per topic and connection, and one index item per connection (subscription_index.py) with the set of
its topics, and the number of shards that its rows are distributed over, which never changes for a connection. The limit
is checked against that set and cleanup follows it; a secondary index over the rows would lag behind, and rows written
just before a disconnect would remain.

API Gateway starts a function for each message, so several may change one connection at once. Each change reads the
index item, decides, and writes everything in one transaction, on condition that the item still has the version that was
read; otherwise it reads and decides again. The first change of a connection has no version. It is conditional on the
connection's record instead, which cleanup deletes before it reads the index item. So the index item names exactly the
topics that have rows, and a connection whose record was deleted gets no more rows.

The index item has the identity (`Connection.identity`) that its topics were decided for. A change of the identity
removes the topics that the new one may not have in the same transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaincast.aws.dynamodb_batch import delete_returning_old, read_all, write_all
from chaincast.aws.transactions import MAX_ITEMS, ConditionsFailed, transact
from chaincast.errors import ChaincastError, Code, RequestError
from chaincast.model.holds import Item, PlannedReplay
from chaincast.model.sharding import subscription_partition
from chaincast.policy.rate_limits import too_many_subscribes
from chaincast.protocol.commands import User
from chaincast.sessions.connection_store import ConnectionStore, IdentityChanged
from chaincast.sessions.open_connections import OpenConnectionCounter
from chaincast.sessions.subscription_index import Index, expires_at, index_key, parse_index

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef, WriteRequestTypeDef

_ATTEMPTS = 12


class Contended(ChaincastError):
    """Other messages of the connection changed its subscriptions during every attempt."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription to a topic: the dialect of its messages, and the kinds that it is limited to (None: all)."""

    dialect: str
    kinds: frozenset[str] | None = None


class SubscriptionStore:
    """Adds, reads and removes subscriptions.

    Changes are counted in `open_counter`. `shards` is the number of shards for rows of connections that have none yet.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        table: str,
        connections: ConnectionStore,
        open_counter: OpenConnectionCounter,
        shards: int = 1,
    ) -> None:
        self._client = client
        self._table = table
        self._connections = connections
        self._open_counter = open_counter
        self._shards = shards

    def add(
        self,
        connection_id: str,
        dialect: str,
        topics: Sequence[str],
        kinds: Collection[str],
        limit: int,
        now_ms: int,
        *,
        identity: int = 0,
        replays: Sequence[PlannedReplay] = (),
        per_hour: int = 0,
    ) -> None:
        """Subscribe a connection to topics, all or none. If `kinds` is not empty, only to events of these kinds.

        When this method returns, every batch that is queued for fan-out from now on reaches the connection. `replays`
        begin with it, unless it is refused. `identity`: what the caller's right to the topics was decided for.
        `limit` is the maximum number of topics per connection, `per_hour` the maximum number of calls per connection
        and hour (0: no limit). Raises `RequestError` with MAX_SUBSCRIPTIONS or RATE_LIMITED, `IdentityChanged`, and
        `Contended`.
        """
        for _ in self._attempts(connection_id):
            index, holds = self._read(connection_id, replays, now_ms)
            topics_after = {*index.topics, *topics}
            _check_limits(index, len(topics_after), limit, per_hour, now_ms)
            if index.version is not None and index.identity != identity:
                raise IdentityChanged
            for replay in replays:
                replay.enqueue()
            writes = [replay.hold(self._table, before) for replay, before in zip(replays, holds, strict=True)]
            distinct = dict.fromkeys(topics)
            writes += _row_writes(self._table, connection_id, dialect, distinct, kinds, index.shards, now_ms)
            if self._write_topics(connection_id, index, topics, identity, now_ms, writes):
                added = len(topics_after) - len(index.topics)
                self._open_counter.subscriptions_changed([(connection_id, index.period, added)])
                return

    def _write_topics(
        self,
        connection_id: str,
        index: Index,
        topics: Sequence[str],
        identity: int,
        now_ms: int,
        writes: Sequence[TransactWriteItemTypeDef],
    ) -> bool:
        """Write topics to the index item, together with holds and rows. Return False if the item has changed.

        Rows that a transaction has no room for are written in further ones. Until then a replay waits for them
        (`list_subscriptions`). Raise `IdentityChanged`.
        """
        first = [index.with_topics(self._table, connection_id, topics, identity, now_ms)]
        if index.version is None:
            first.insert(0, self._connections.identity_check(connection_id, identity))
        written = Index(index.topics, index.shards, index.period, (index.version or 0) + 1)
        room, rest = MAX_ITEMS - len(first), MAX_ITEMS - 1
        try:
            transact(self._client, [*first, *writes[:room]])
            for start in range(room, len(writes), rest):
                check = written.unchanged(self._table, connection_id)
                transact(self._client, [check, *writes[start : start + rest]])
        except ConditionsFailed as failed:
            if index.version is None and 0 in failed.positions:
                raise IdentityChanged from None
            return False
        return True

    def remove(self, connection_id: str, topics: Collection[str]) -> None:
        """Unsubscribe a connection. Topics that it is not subscribed to are ignored. Raises `Contended`."""
        wanted = set(topics)
        self.remove_matching(connection_id, wanted.__contains__)

    def remove_matching(self, connection_id: str, matches: Callable[[str], bool]) -> tuple[str, ...]:
        """Unsubscribe a connection from the topics that match, and return these. Raises `Contended`."""
        removed: list[str] = []
        for _ in self._attempts(connection_id):
            index, _ = self._read(connection_id)
            topics = [topic for topic in index.topics if matches(topic)]
            some = topics[: MAX_ITEMS - 1]
            if some and not self._remove_topics(connection_id, index, some, index.identity):
                continue
            removed += some
            if len(some) == len(topics):
                return tuple(sorted(removed))
        raise AssertionError  # _attempts raises before

    def set_identity(
        self,
        connection_id: str,
        identity: int,
        remove: Callable[[str], bool],
        *,
        user: User | None = None,
        joined: bool | None = None,
    ) -> None:
        """Set the user of a connection and whether it has joined (None: unchanged), and remove topics that match.

        `identity`: the connection's present identity. Raises `IdentityChanged` if it is another, or if the connection
        has no record, and `Contended`.
        """
        change = self._connections.identity_change(connection_id, identity, user=user, joined=joined)
        for _ in self._attempts(connection_id):
            index, _ = self._read(connection_id)
            topics = [topic for topic in index.topics if remove(topic)]
            if index.version is None:
                if self._change_with(change, [index.unchanged(self._table, connection_id)]):
                    return
            elif len(topics) > MAX_ITEMS - 2:
                self._remove_topics(connection_id, index, topics[: MAX_ITEMS - 2], index.identity)
            elif self._remove_topics(connection_id, index, topics, identity + 1, change):
                return

    def _remove_topics(
        self,
        connection_id: str,
        index: Index,
        topics: Collection[str],
        identity: int,
        change: TransactWriteItemTypeDef | None = None,
    ) -> bool:
        """Remove topics with their rows, and make another change with it. Return False if the index has changed."""
        writes = [index.without_topics(self._table, connection_id, topics, identity)]
        for row in _row_keys(connection_id, topics, [index.shards]):
            writes.append({"Delete": {"TableName": self._table, "Key": _key(*row)}})
        if not self._change_with(change, writes):
            return False
        if topics:
            self._open_counter.subscriptions_changed([(connection_id, index.period, -len(topics))])
        return True

    def _change_with(self, change: TransactWriteItemTypeDef | None, writes: Sequence[TransactWriteItemTypeDef]) -> bool:
        """Write a change of the connection's record with other writes. Return False if one of these was refused."""
        try:
            transact(self._client, writes if change is None else [change, *writes])
        except ConditionsFailed as failed:
            if change is not None and 0 in failed.positions:
                raise IdentityChanged from None
            return False
        return True

    def _attempts(self, connection_id: str) -> Iterator[int]:
        yield from range(_ATTEMPTS)
        raise Contended(f"{connection_id}: changed by other messages in each of {_ATTEMPTS} attempts")

    def remove_all(self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()) -> int:
        """Delete all subscriptions of connections whose records are deleted. Return the number of writes.

        `topics` and `shards` say where the caller may have seen rows of connections that have no index item.
        """
        indexes = self._indexes(connection_ids)
        rows: list[tuple[str, str]] = []
        for connection_id in connection_ids:
            if index := indexes.get(connection_id):
                rows += _row_keys(connection_id, index.topics, [index.shards])
            else:
                rows += _row_keys(connection_id, topics, shards)
        self._delete(rows)
        items = delete_returning_old(self._client, self._table, [_key(index_key(c), c) for c in indexes])
        deleted = {item["connection_id"]["S"]: parse_index(item, 1, 0) for item in items}
        # A message may have written rows since the item was read here. None can do so after its deletion.
        changed = {c: index for c, index in deleted.items() if index.version != indexes[c].version}
        late = [row for c, index in changed.items() for row in _row_keys(c, index.topics, [index.shards])]
        self._delete(late)
        self._open_counter.subscriptions_changed((c, index.period, -len(index.topics)) for c, index in deleted.items())
        return len(rows) + len(late) + len(indexes)

    def list_topics(self, connection_id: str) -> list[str]:
        """Return the topics that a connection is subscribed to, sorted."""
        return self._read(connection_id)[0].topics

    def list_subscriptions(self, connection_id: str) -> tuple[Mapping[str, Subscription], bool]:
        """Return a connection's subscriptions by topic, and whether that is complete.

        It is incomplete while a topic of the index item has no row yet, because it is being subscribed.
        """
        index, _ = self._read(connection_id)
        topics = index.topics
        keys = dict(zip((key for key, _ in _row_keys(connection_id, topics, [index.shards])), topics, strict=True))
        found: dict[str, Subscription] = {}
        for item in read_all(self._client, self._table, [_key(key, connection_id) for key in keys]):
            kinds = item["kinds"]["SS"] if "kinds" in item else ()
            found[keys[item["topic_shard"]["S"]]] = Subscription(item["dialect"]["S"], frozenset(kinds) or None)
        return found, len(found) == len(topics)

    def _read(
        self, connection_id: str, replays: Sequence[PlannedReplay] = (), now_ms: int = 0
    ) -> tuple[Index, list[Item | None]]:
        """Read the index item, and the holds of replays, with one request."""
        partitions = [index_key(connection_id), *(replay.key.partition for replay in replays)]
        keys = [_key(partition, connection_id) for partition in partitions]
        items = {item["topic_shard"]["S"]: item for item in read_all(self._client, self._table, keys)}
        found = [items.get(partition) for partition in partitions]
        return parse_index(found[0], self._shards, now_ms), [*found[1:]]

    def _indexes(self, connection_ids: Iterable[str]) -> dict[str, Index]:
        """Return the index items of those connections that have one."""
        keys = [_key(index_key(connection_id), connection_id) for connection_id in connection_ids]
        return {
            item["connection_id"]["S"]: parse_index(item, 1, 0) for item in read_all(self._client, self._table, keys)
        }

    def _delete(self, rows: Iterable[tuple[str, str]]) -> None:
        requests: list[WriteRequestTypeDef] = [{"DeleteRequest": {"Key": _key(*row)}} for row in rows]
        write_all(self._client, self._table, requests)


def _check_limits(index: Index, topics_after: int, limit: int, per_hour: int, now_ms: int) -> None:
    """Raise `RequestError` if a subscribe message exceeds a limit."""
    error = too_many_subscribes(index.calls_in(now_ms) + 1, per_hour, now_ms)
    if topics_after > limit:
        rule = f"{topics_after} topics would be subscribed; at most {limit} for each connection"
        error = RequestError(Code.MAX_SUBSCRIPTIONS, f"{rule}: unsubscribe from some")
    if error is not None:
        raise error


def _row_writes(
    table: str,
    connection_id: str,
    dialect: str,
    topics: Iterable[str],
    kinds: Collection[str],
    shards: int,
    now_ms: int,
) -> Iterator[TransactWriteItemTypeDef]:
    """Yield the writes of a connection's rows."""
    for topic in topics:
        item: dict[str, AttributeValueTypeDef] = {
            **_key(subscription_partition(topic, connection_id, shards), connection_id),
            "dialect": {"S": dialect},
            "expires_at": {"N": expires_at(now_ms)},
        }
        if kinds:
            item["kinds"] = {"SS": sorted(kinds)}
        yield {"Put": {"TableName": table, "Item": item}}


def _key(topic_shard: str, connection_id: str) -> dict[str, AttributeValueTypeDef]:
    return {"topic_shard": {"S": topic_shard}, "connection_id": {"S": connection_id}}


def _row_keys(connection_id: str, topics: Iterable[str], shards: Iterable[int]) -> list[tuple[str, str]]:
    shard_counts = list(shards)
    return [
        (subscription_partition(topic, connection_id, count), connection_id)
        for topic in topics
        for count in shard_counts
    ]
