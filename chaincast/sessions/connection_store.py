"""The Connections table: one record per open WebSocket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from botocore.exceptions import ClientError as AwsError

from chaincast.aws.dynamodb_batch import read_all, take_all
from chaincast.policy.rate_limits import MINUTE_MS
from chaincast.protocol.commands import User

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, ScanInputTypeDef

MAX_SECONDS = 2 * 3600
"""API Gateway closes a WebSocket after two hours, whatever happens on it."""

SLOT_SECONDS = 300
"""Resolution of `seen`: the index by it is written at most once per slot and connection, not once per message."""

BUCKETS = 16
"""Partitions of that index per dialect: one would cap a dialect at 1,000 writes a second."""

_GRACE_SECONDS = 600
_MINUTES_TAKEN_OFF = 12


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of a connection. `connected_at` in ms; `user`: whose it is, empty while nobody has said so;
    `user_until` (s) when what proves that ends, 0: never; `premium`: may have premium topics;
    `joined`: in protocols where that is a step of its own; `undecided`: it did not say what it speaks."""

    connection_id: str
    dialect: str
    source_ip: str
    origin: str
    connected_at: int
    user: str = ""
    user_until: int = 0
    premium: bool = False
    joined: bool = False
    undecided: bool = False
    seen: int = 0
    """The slot of time in which it was last heard of."""


def slot(now_ms: int) -> int:
    """The number of the time slot at `now_ms`."""
    return now_ms // 1000 // SLOT_SECONDS


def beat(dialect: str, bucket: int) -> str:
    """A partition of the index by which the heartbeat finds connections."""
    return f"{dialect}#{bucket:02d}"


def _beat_of(connection_id: str, dialect: str) -> str:
    return beat(dialect, crc32(connection_id.encode()) % BUCKETS)


class Connections:
    """The table's operations, each one request."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def put(self, connection: Connection) -> None:
        """Record a connection that is being opened."""
        now = connection.connected_at
        self._client.put_item(
            TableName=self._table,
            Item={
                "connection_id": {"S": connection.connection_id},
                "dialect": {"S": connection.dialect},
                "source_ip": {"S": connection.source_ip},
                "origin": {"S": connection.origin},
                "connected_at": {"N": str(now)},
                "beat": {"S": _beat_of(connection.connection_id, connection.dialect)},
                "seen": {"N": str(slot(now))},
                "expires_at": {"N": str(now // 1000 + MAX_SECONDS + _GRACE_SECONDS)},
                **(
                    _identity(connection.user, connection.user_until, premium=connection.premium)
                    if connection.user
                    else {}
                ),
                **({"undecided": {"BOOL": True}} if connection.undecided else {}),
            },
        )

    def know(self, connection_id: str, *, user: User | None = None, joined: bool | None = None) -> None:
        """Note whose a connection is, and whether it has joined; what is None stays. Nothing, if it is gone."""
        values: dict[str, AttributeValueTypeDef] = {}
        if user is not None:
            values |= _identity(user.id, user.until, premium=user.premium)
        if joined is not None:
            values["joined"] = {"BOOL": joined}
        if values:
            self._set(connection_id, values)

    def decide(self, connection_id: str, dialect: str) -> bool:
        """Note what a connection turned out to speak; whether that was news. Nothing, if it is gone."""
        where = _beat_of(connection_id, dialect)
        values: dict[str, AttributeValueTypeDef] = {"dialect": {"S": dialect}, "beat": {"S": where}}
        return self._set(connection_id, {**values, "undecided": {"BOOL": False}}, "undecided = :before", {"BOOL": True})

    def _set(
        self,
        connection_id: str,
        values: Mapping[str, AttributeValueTypeDef],
        condition: str = "attribute_exists(connection_id)",
        before: AttributeValueTypeDef | None = None,
    ) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"connection_id": {"S": connection_id}},
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in values},
                ExpressionAttributeValues={
                    **{f":{name}": value for name, value in values.items()},
                    **({} if before is None else {":before": before}),
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def touch(self, connection_id: str, now_ms: int) -> Connection | None:
        """Note that the connection is there; `None` if there is no record of it (closed meanwhile)."""
        found = self._touch(connection_id, now_ms, "", {})
        return None if found is None else _connection(found)

    def visit(self, connection_id: str, now_ms: int) -> tuple[Connection, int] | None:
        """Note that a message came: the record, and how many there were in this minute; `None` as above.

        A count for each minute, taken off with the next: in one write that needs no reading before, unlike a count
        that had to be set back. After a longer silence one may stay behind, a dozen bytes.
        """
        minute = now_ms // MINUTE_MS
        before = ", ".join(f"m{minute - back}" for back in range(1, _MINUTES_TAKEN_OFF + 1))
        found = self._touch(connection_id, now_ms, f" ADD m{minute} :one REMOVE {before}", {":one": {"N": "1"}})
        return None if found is None else (_connection(found), int(found[f"m{minute}"]["N"]))

    def _touch(
        self, connection_id: str, now_ms: int, besides: str, values: Mapping[str, AttributeValueTypeDef]
    ) -> Mapping[str, AttributeValueTypeDef] | None:
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key={"connection_id": {"S": connection_id}},
                UpdateExpression="SET seen = :s" + besides,
                ConditionExpression="attribute_exists(connection_id)",
                ExpressionAttributeValues={":s": {"N": str(slot(now_ms))}, **values},
                ReturnValues="ALL_NEW",
            )
        except AwsError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return None
            raise
        return answer["Attributes"]

    def get(self, connection_id: str) -> Connection | None:
        """The record, read consistently; `None` if there is none."""
        answer = self._client.get_item(
            TableName=self._table, Key={"connection_id": {"S": connection_id}}, ConsistentRead=True
        )
        return _connection(answer["Item"]) if "Item" in answer else None

    def get_all(self, connection_ids: Sequence[str]) -> Iterator[Connection]:
        """The records that there are, read consistently, in any order."""
        keys: list[dict[str, AttributeValueTypeDef]] = [{"connection_id": {"S": c}} for c in connection_ids]
        return map(_connection, read_all(self._client, self._table, keys))

    def remove_all(self, connection_ids: Sequence[str]) -> list[Connection]:
        """Delete the records of connections; those that there were."""
        keys: list[dict[str, AttributeValueTypeDef]] = [{"connection_id": {"S": c}} for c in connection_ids]
        return [_connection(item) for item in take_all(self._client, self._table, keys)]

    def page(self, limit: int, after: str) -> tuple[list[Connection], str]:
        """So many connections behind this one, in no order that means anything; where the next page begins, if there
        is one."""
        asked: ScanInputTypeDef = {"TableName": self._table, "Limit": limit}
        if after:
            asked["ExclusiveStartKey"] = {"connection_id": {"S": after}}
        answer = self._client.scan(**asked)
        last = answer.get("LastEvaluatedKey")
        return [_connection(item) for item in answer["Items"]], last["connection_id"]["S"] if last else ""

    def quiet(self, dialect: str, before_slot: int) -> Iterator[tuple[str, int]]:
        """The connections of a dialect that sent nothing since `before_slot`, each with the slot in which they last
        did; the index lags a little behind."""
        for bucket in range(BUCKETS):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName="by_beat",
                KeyConditionExpression="beat = :b AND seen < :s",
                ExpressionAttributeValues={":b": {"S": beat(dialect, bucket)}, ":s": {"N": str(before_slot)}},
                ProjectionExpression="connection_id, seen",
            )
            for page in pages:
                for item in page["Items"]:
                    yield item["connection_id"]["S"], int(item["seen"]["N"])


def _connection(item: Mapping[str, AttributeValueTypeDef]) -> Connection:
    return Connection(
        connection_id=item["connection_id"]["S"],
        dialect=item["dialect"]["S"],
        source_ip=item["source_ip"]["S"],
        origin=item["origin"]["S"],
        connected_at=int(item["connected_at"]["N"]),
        user=item["user"]["S"] if "user" in item else "",
        user_until=int(item["user_until"]["N"]) if "user_until" in item else 0,
        premium="premium" in item and item["premium"]["BOOL"],
        joined="joined" in item and item["joined"]["BOOL"],
        undecided="undecided" in item and item["undecided"]["BOOL"],
        seen=int(item["seen"]["N"]),
    )


def _identity(user: str, until: int, *, premium: bool) -> dict[str, AttributeValueTypeDef]:
    return {"user": {"S": user}, "user_until": {"N": str(until)}, "premium": {"BOOL": premium}}
