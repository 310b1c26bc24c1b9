"""The Subscriptions table, as clients' messages change it. Fan-out reads it in chaincast/fanout/subscribers.py.

The table has a row per topic and connection, and one *index item* per connection: the set of its topics, and the number
of shards that its rows are distributed over, which never changes for a connection. The limit is checked against that
set and cleanup follows it, because one consistent read returns it; a secondary index over the rows would lag behind,
and rows written just before a disconnect would remain. The index item is written before rows are put and after rows
are deleted, so it never misses a row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaincast.aws.dynamodb_batch import delete_returning_old, read_all, write_all
from chaincast.errors import Code, RequestError
from chaincast.model.sharding import subscription_partition
from chaincast.policy.rate_limits import HOUR_MS, too_many_subscribes
from chaincast.sessions.connection_store import MAX_CONNECTION_SECONDS
from chaincast.sessions.open_connections import OpenConnectionCounter, period_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef

_EXPIRY_MARGIN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class _Index:
    """The index item of a connection.

    topics: the subscribed topics, sorted.
    shards: the number of shards that the connection's rows are distributed over.
    period: the period of `OpenConnectionCounter` in which the item was created.
    """

    topics: list[str]
    shards: int
    period: int


def index_key(connection_id: str) -> str:
    """Return the partition key of a connection's index item. No topic begins with `connection/`."""
    return f"connection/{connection_id}"


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
        self, client: DynamoDBClient, table: str, open_counter: OpenConnectionCounter, shards: int = 1
    ) -> None:
        self._client = client
        self._table = table
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
        before_rows: Callable[[], None] | None = None,
        *,
        per_hour: int = 0,
    ) -> None:
        """Subscribe a connection to topics, all or none. If `kinds` is not empty, only to events of these kinds.

        When this method returns, every batch that is queued for fan-out from now on reaches the connection.
        `before_rows` is called after the topics are reserved in the index item and before any row is written.
        `limit` is the maximum number of topics per connection, `per_hour` the maximum number of calls per connection
        and hour (0: no limit). Raises `RequestError` with MAX_SUBSCRIPTIONS or RATE_LIMITED.
        """
        expires_at = str(now_ms // 1000 + MAX_CONNECTION_SECONDS + _EXPIRY_MARGIN_SECONDS)
        index, calls = self._add_to_index(connection_id, topics, expires_at, now_ms)
        topics_before = set(index.topics)
        topics_after = topics_before.union(topics)
        error = too_many_subscribes(calls, per_hour, now_ms)
        if len(topics_after) > limit:
            rule = f"{len(topics_after)} topics would be subscribed; at most {limit} for each connection"
            error = RequestError(Code.MAX_SUBSCRIPTIONS, f"{rule}: unsubscribe from some")
        if error is not None:
            self._remove_from_index(connection_id, [topic for topic in topics if topic not in topics_before])
            raise error
        if before_rows is not None:
            before_rows()
        rows: list[WriteRequestTypeDef] = []
        for topic in topics:
            item: dict[str, AttributeValueTypeDef] = {
                "topic_shard": {"S": subscription_partition(topic, connection_id, index.shards)},
                "connection_id": {"S": connection_id},
                "dialect": {"S": dialect},
                "expires_at": {"N": expires_at},
            }
            if kinds:
                item["kinds"] = {"SS": sorted(kinds)}
            rows.append({"PutRequest": {"Item": item}})
        write_all(self._client, self._table, rows)

    def remove(self, connection_id: str, topics: Sequence[str]) -> None:
        """Unsubscribe a connection. Topics that it is not subscribed to are ignored."""
        index = self._indexes([connection_id]).get(connection_id)
        if index is not None:
            self._delete(_row_keys(connection_id, topics, [index.shards]))
            self._remove_from_index(connection_id, topics)

    def remove_all(self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()) -> int:
        """Delete all subscriptions of connections. Return the number of writes.

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
        deleted = {item["connection_id"]["S"]: _index(item) for item in items}
        self._open_counter.subscriptions_changed((c, index.period, -len(index.topics)) for c, index in deleted.items())
        return len(rows) + len(indexes)

    def list_topics(self, connection_id: str) -> list[str]:
        """Return the topics that a connection is subscribed to, sorted."""
        index = self._indexes([connection_id]).get(connection_id)
        return [] if index is None else index.topics

    def list_subscriptions(self, connection_id: str) -> tuple[Mapping[str, Subscription], bool]:
        """Return a connection's subscriptions by topic, and whether that is complete.

        It is incomplete while a topic of the index item has no row yet, because it is being subscribed.
        """
        index = self._indexes([connection_id]).get(connection_id)
        if index is None:
            return {}, True
        topics = index.topics
        keys = dict(zip((key for key, _ in _row_keys(connection_id, topics, [index.shards])), topics, strict=True))
        found: dict[str, Subscription] = {}
        for item in read_all(self._client, self._table, [_key(key, connection_id) for key in keys]):
            kinds = item["kinds"]["SS"] if "kinds" in item else ()
            found[keys[item["topic_shard"]["S"]]] = Subscription(item["dialect"]["S"], frozenset(kinds) or None)
        return found, len(found) == len(topics)

    def _indexes(self, connection_ids: Iterable[str]) -> dict[str, _Index]:
        """Return the index items of those connections that have one."""
        keys = [_key(index_key(connection_id), connection_id) for connection_id in connection_ids]
        return {item["connection_id"]["S"]: _index(item) for item in read_all(self._client, self._table, keys)}

    def _add_to_index(
        self, connection_id: str, topics: Sequence[str], expires_at: str, now_ms: int
    ) -> tuple[_Index, int]:
        """Add topics to the index item. Return its previous state, and the number of calls in this hour."""
        hour, period = now_ms // HOUR_MS, period_of(now_ms)
        response = self._client.update_item(
            TableName=self._table,
            Key=_key(index_key(connection_id), connection_id),
            # Each hour has a counter of its own. Two earlier ones are removed, because a connection lasts two hours.
            UpdateExpression=f"ADD topics :t, h{hour} :one REMOVE h{hour - 1}, h{hour - 2} "
            "SET expires_at = :e, shards = if_not_exists(shards, :s), came = if_not_exists(came, :period)",
            ExpressionAttributeValues={
                ":t": {"SS": list(topics)},
                ":e": {"N": expires_at},
                ":s": {"N": str(self._shards)},
                ":period": {"N": str(period)},
                ":one": {"N": "1"},
            },
            ReturnValues="ALL_OLD",
        )
        before = response.get("Attributes")
        index = _index(before) if before else _Index([], self._shards, period)
        calls = int(before[f"h{hour}"]["N"]) if before and f"h{hour}" in before else 0
        self._open_counter.subscriptions_changed([(connection_id, index.period, len({*topics} - {*index.topics}))])
        return index, calls + 1

    def _remove_from_index(self, connection_id: str, topics: Sequence[str]) -> None:
        if not topics:
            return
        try:
            response = self._client.update_item(
                TableName=self._table,
                Key=_key(index_key(connection_id), connection_id),
                UpdateExpression="DELETE topics :t",
                ConditionExpression="attribute_exists(topic_shard)",
                ExpressionAttributeValues={":t": {"SS": list(topics)}},
                ReturnValues="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return
        before = _index(response["Attributes"])
        self._open_counter.subscriptions_changed([(connection_id, before.period, -len({*topics} & {*before.topics}))])

    def _delete(self, rows: Iterable[tuple[str, str]]) -> None:
        requests: list[WriteRequestTypeDef] = [{"DeleteRequest": {"Key": _key(*row)}} for row in rows]
        write_all(self._client, self._table, requests)


def _key(topic_shard: str, connection_id: str) -> dict[str, AttributeValueTypeDef]:
    return {"topic_shard": {"S": topic_shard}, "connection_id": {"S": connection_id}}


def _row_keys(connection_id: str, topics: Iterable[str], shards: Iterable[int]) -> list[tuple[str, str]]:
    shard_counts = list(shards)
    return [
        (subscription_partition(topic, connection_id, count), connection_id)
        for topic in topics
        for count in shard_counts
    ]


def _index(item: Mapping[str, AttributeValueTypeDef]) -> _Index:
    return _Index(
        topics=sorted(item["topics"]["SS"]) if "topics" in item else [],
        shards=int(item["shards"]["N"]) if "shards" in item else 1,
        period=int(item["came"]["N"]) if "came" in item else 0,
    )
