"""The Subscriptions table, as clients' messages change it. (Fan-out reads it through `audience`.)

Besides a row per topic and connection it holds one *index item* per connection: the set of its topics, and the number
of shards its rows are under, which stays the same for a connection's life. The set is what the limit is checked against
and what cleaning up goes by, in one consistent read; an index over the rows would be read late, and rows written just
before a disconnect would stay behind. It is written before rows are put and after rows are deleted, so that it never
misses one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError as AwsError

from chaincast.aws.dynamodb_batch import read_all, take_all, write_all
from chaincast.errors import ClientError, Code
from chaincast.model.sharding import home
from chaincast.policy.rate_limits import HOUR_MS, too_many_subscribes
from chaincast.sessions.connection_store import MAX_SECONDS
from chaincast.sessions.open_counts import Population, slot_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef

_GRACE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class _Index:
    """A connection's index item: its topics, the number of shards of its rows, and the slot of time (`population`) in
    which it was made."""

    topics: list[str]
    shards: int
    slot: int


def index_key(connection_id: str) -> str:
    """The partition key of a connection's index item; no topic begins with `connection/`."""
    return f"connection/{connection_id}"


class Subscriptions:
    """The table's operations. `shards`: those that rows of connections new to the table are put under; `population`
    counts what there is."""

    def __init__(self, client: DynamoDBClient, table: str, population: Population, shards: int = 1) -> None:
        self._client = client
        self._table = table
        self._population = population
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
        """Subscribe a connection to topics, all or none; to events of some kinds only, if `kinds` names any.

        When it returns, whatever is queued for fan-out from now on reaches the connection. `before_rows` is called
        when the topics are reserved and no row is there yet. `limit`: topics at once; `per_hour`: calls of this in an
        hour, 0: any number. Raises `ClientError` with `MAX_SUBSCRIPTIONS` or `RATE_LIMITED`.
        """
        expires_at = str(now_ms // 1000 + MAX_SECONDS + _GRACE_SECONDS)
        index, calls = self._add_to_index(connection_id, topics, expires_at, now_ms)
        before, shards = set(index.topics), index.shards
        wanted = before.union(topics)
        refused = too_many_subscribes(calls, per_hour, now_ms)
        if len(wanted) > limit:
            words = f"{len(wanted)} topics would be subscribed; at most {limit} for each connection"
            refused = ClientError(Code.MAX_SUBSCRIPTIONS, f"{words}: unsubscribe from some")
        if refused is not None:
            self._remove_from_index(connection_id, [t for t in topics if t not in before])
            raise refused
        if before_rows is not None:
            before_rows()
        rows: list[WriteRequestTypeDef] = []
        for topic in topics:
            item: dict[str, AttributeValueTypeDef] = {
                "topic_shard": {"S": home(topic, connection_id, shards)},
                "connection_id": {"S": connection_id},
                "dialect": {"S": dialect},
                "expires_at": {"N": expires_at},
            }
            if kinds:
                item["kinds"] = {"SS": sorted(kinds)}
            rows.append({"PutRequest": {"Item": item}})
        write_all(self._client, self._table, rows)

    def remove(self, connection_id: str, topics: Sequence[str]) -> None:
        """Unsubscribe a connection; topics it does not hold are no error."""
        index = self._indexes([connection_id]).get(connection_id)
        if index is not None:
            self._delete(_row_keys(connection_id, topics, [index.shards]))
            self._remove_from_index(connection_id, topics)

    def remove_all(self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()) -> int:
        """Forget connections' subscriptions; how many writes that took.

        Of connections without an index item, rows are deleted under the topics and shards that the caller names.
        """
        found = self._indexes(connection_ids)
        rows: list[tuple[str, str]] = []
        for connection_id in connection_ids:
            if connection_id in found:
                rows += _row_keys(connection_id, found[connection_id].topics, [found[connection_id].shards])
            else:
                rows += _row_keys(connection_id, topics, shards)
        self._delete(rows)
        taken = take_all(self._client, self._table, [_key(index_key(c), c) for c in found])
        ended = {item["connection_id"]["S"]: _index(item) for item in taken}
        self._population.listening((c, index.slot, -len(index.topics)) for c, index in ended.items())
        return len(rows) + len(found)

    def topics_of(self, connection_id: str) -> list[str]:
        """The topics that a connection holds, sorted."""
        index = self._indexes([connection_id]).get(connection_id)
        return [] if index is None else index.topics

    def rows_of(self, connection_id: str) -> tuple[Mapping[str, frozenset[str] | None], bool]:
        """A connection's topics, each with the kinds it is limited to (None: all); and whether that is all.

        It is not while a topic in the index item has no row yet: while it is being subscribed.
        """
        index = self._indexes([connection_id]).get(connection_id)
        if index is None:
            return {}, True
        topics = index.topics
        keys = dict(zip((key for key, _ in _row_keys(connection_id, topics, [index.shards])), topics, strict=True))
        found: dict[str, frozenset[str] | None] = {}
        for item in read_all(self._client, self._table, [_key(key, connection_id) for key in keys]):
            kinds = item["kinds"]["SS"] if "kinds" in item else ()
            found[keys[item["topic_shard"]["S"]]] = frozenset(kinds) or None
        return found, len(found) == len(topics)

    def _indexes(self, connection_ids: Iterable[str]) -> dict[str, _Index]:
        """The index items that there are of connections."""
        keys = [_key(index_key(connection_id), connection_id) for connection_id in connection_ids]
        return {item["connection_id"]["S"]: _index(item) for item in read_all(self._client, self._table, keys)}

    def _add_to_index(
        self, connection_id: str, topics: Sequence[str], expires_at: str, now_ms: int
    ) -> tuple[_Index, int]:
        """Add topics to the index item; what it held before, and how many times topics were added in this hour."""
        hour, slot = now_ms // HOUR_MS, slot_of(now_ms)
        answer = self._client.update_item(
            TableName=self._table,
            Key=_key(index_key(connection_id), connection_id),
            # A count for each hour, taken off with the next: a connection lives for two.
            UpdateExpression=f"ADD topics :t, h{hour} :one REMOVE h{hour - 1}, h{hour - 2} "
            "SET expires_at = :e, shards = if_not_exists(shards, :s), came = if_not_exists(came, :slot)",
            ExpressionAttributeValues={
                ":t": {"SS": list(topics)},
                ":e": {"N": expires_at},
                ":s": {"N": str(self._shards)},
                ":slot": {"N": str(slot)},
                ":one": {"N": "1"},
            },
            ReturnValues="ALL_OLD",
        )
        before = answer.get("Attributes")
        index = _index(before) if before else _Index([], self._shards, slot)
        calls = int(before[f"h{hour}"]["N"]) if before and f"h{hour}" in before else 0
        self._population.listening([(connection_id, index.slot, len({*topics} - {*index.topics}))])
        return index, calls + 1

    def _remove_from_index(self, connection_id: str, topics: Sequence[str]) -> None:
        if not topics:
            return
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_key(index_key(connection_id), connection_id),
                UpdateExpression="DELETE topics :t",
                ConditionExpression="attribute_exists(topic_shard)",
                ExpressionAttributeValues={":t": {"SS": list(topics)}},
                ReturnValues="ALL_OLD",
            )
        except AwsError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return
        before = _index(answer["Attributes"])
        self._population.listening([(connection_id, before.slot, -len({*topics} & {*before.topics}))])

    def _delete(self, rows: Iterable[tuple[str, str]]) -> None:
        requests: list[WriteRequestTypeDef] = [{"DeleteRequest": {"Key": _key(*row)}} for row in rows]
        write_all(self._client, self._table, requests)


def _key(topic_shard: str, connection_id: str) -> dict[str, AttributeValueTypeDef]:
    return {"topic_shard": {"S": topic_shard}, "connection_id": {"S": connection_id}}


def _row_keys(connection_id: str, topics: Iterable[str], shards: Iterable[int]) -> list[tuple[str, str]]:
    under = list(shards)
    return [(home(topic, connection_id, s), connection_id) for topic in topics for s in under]


def _index(item: Mapping[str, AttributeValueTypeDef]) -> _Index:
    return _Index(
        topics=sorted(item["topics"]["SS"]) if "topics" in item else [],
        shards=int(item["shards"]["N"]) if "shards" in item else 1,
        slot=int(item["came"]["N"]) if "came" in item else 0,
    )
