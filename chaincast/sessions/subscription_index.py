"""The index item of a connection: which topics it is subscribed to, in one item that one consistent read returns."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chaincast.model.holds import Item
from chaincast.policy.rate_limits import HOUR_MS
from chaincast.sessions.connection_store import MAX_CONNECTION_SECONDS
from chaincast.sessions.open_connections import period_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        ConditionCheckTypeDef,
        TransactWriteItemTypeDef,
        UpdateTypeDef,
    )

_EXPIRY_MARGIN_SECONDS = 600
_CALLS = "h"
"""Beginning of the names of the counters of subscribe messages: `h` and the number of the hour."""


def index_key(connection_id: str) -> str:
    """Return the partition key of a connection's index item. No topic begins with `connection/`."""
    return f"connection/{connection_id}"


def expires_at(now_ms: int) -> str:
    """Return the time (s) after which no item of a connection that is open at `now_ms` is needed."""
    return str(now_ms // 1000 + MAX_CONNECTION_SECONDS + _EXPIRY_MARGIN_SECONDS)


@dataclass(frozen=True, slots=True)
class Index:
    """The index item of a connection, as it was read, or what it would be before its first topic.

    topics: the subscribed topics, sorted.
    shards: the number of shards that the connection's rows are distributed over.
    period: the period of `OpenConnectionCounter` in which the item was created.
    version: number of changes; None if there is no item, 0 if Chaincast 1.0 has written it.
    identity: the identity of the connection (`Connection.identity`) that the topics were decided for.
    calls: number of subscribe messages by hour.
    """

    topics: list[str]
    shards: int
    period: int
    version: int | None = None
    identity: int = 0
    calls: Mapping[int, int] = field(default_factory=dict)

    def calls_in(self, now_ms: int) -> int:
        """Return the number of subscribe messages in the present hour."""
        return self.calls.get(now_ms // HOUR_MS, 0)

    def unchanged(self, table: str, connection_id: str) -> TransactWriteItemTypeDef:
        """Return the check that the item is still as it was read."""
        return {"ConditionCheck": self._check(table, connection_id)}

    def with_topics(
        self, table: str, connection_id: str, topics: Collection[str], identity: int, now_ms: int
    ) -> TransactWriteItemTypeDef:
        """Return the write that adds topics and counts a subscribe message, if the item is still as it was read."""
        hour = now_ms // HOUR_MS
        # Each hour has a counter of its own. Two earlier ones are removed, because a connection lasts two hours.
        change = (
            f"SET expires_at = :e, shards = :s, came = :p, #version = :next, #identity = :i "
            f"ADD topics :t, {_CALLS}{hour} :one REMOVE {_CALLS}{hour - 1}, {_CALLS}{hour - 2}"
        )
        values: dict[str, AttributeValueTypeDef] = {
            ":e": {"N": expires_at(now_ms)},
            ":s": {"N": str(self.shards)},
            ":p": {"N": str(self.period)},
            ":t": {"SS": sorted(topics)},
            ":one": {"N": "1"},
        }
        return self._change(table, connection_id, change, values, identity)

    def without_topics(
        self, table: str, connection_id: str, topics: Collection[str], identity: int
    ) -> TransactWriteItemTypeDef:
        """Return the write that removes topics and sets the identity, if the item is still as it was read."""
        change = "SET #version = :next, #identity = :i" + (" DELETE topics :t" if topics else "")
        values: dict[str, AttributeValueTypeDef] = {":t": {"SS": sorted(topics)}} if topics else {}
        return self._change(table, connection_id, change, values, identity)

    def _change(
        self,
        table: str,
        connection_id: str,
        change: str,
        values: Mapping[str, AttributeValueTypeDef],
        identity: int,
    ) -> TransactWriteItemTypeDef:
        check = self._check(table, connection_id)
        update: UpdateTypeDef = {
            "TableName": table,
            "Key": check["Key"],
            "ConditionExpression": check["ConditionExpression"],
            "UpdateExpression": change,
            "ExpressionAttributeNames": {"#version": "version", "#identity": "identity"},
            "ExpressionAttributeValues": {
                **check.get("ExpressionAttributeValues", {}),
                **values,
                ":next": {"N": str((self.version or 0) + 1)},
                ":i": {"N": str(identity)},
            },
        }
        return {"Update": update}

    def _check(self, table: str, connection_id: str) -> ConditionCheckTypeDef:
        check: ConditionCheckTypeDef = {
            "TableName": table,
            "Key": {"topic_shard": {"S": index_key(connection_id)}, "connection_id": {"S": connection_id}},
            "ConditionExpression": "attribute_not_exists(topic_shard)",
        }
        if self.version is not None:
            known = "#version = :read" if self.version else "attribute_not_exists(#version)"
            check["ConditionExpression"] = f"attribute_exists(topic_shard) AND {known}"
            check["ExpressionAttributeNames"] = {"#version": "version"}
        if self.version:
            check["ExpressionAttributeValues"] = {":read": {"N": str(self.version)}}
        return check


def parse_index(item: Item | None, shards: int, now_ms: int) -> Index:
    """Return an index item; if there is none, what it would be for a connection whose rows get `shards` shards."""
    if item is None:
        return Index([], shards, period_of(now_ms))
    hours = [name[1:] for name in item if name[0] == _CALLS and name[1:].isdigit()]
    return Index(
        topics=sorted(item["topics"]["SS"]) if "topics" in item else [],
        shards=int(item["shards"]["N"]) if "shards" in item else 1,
        period=int(item["came"]["N"]) if "came" in item else 0,
        version=int(item["version"]["N"]) if "version" in item else 0,
        identity=int(item["identity"]["N"]) if "identity" in item else 0,
        calls={int(hour): int(item[f"{_CALLS}{hour}"]["N"]) for hour in hours},
    )
