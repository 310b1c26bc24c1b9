"""The Connections table: one record per open WebSocket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from chaincast.aws.dynamodb_batch import delete_returning_old, read_all
from chaincast.aws.transactions import retry_conflicts
from chaincast.errors import ChaincastError
from chaincast.policy.rate_limits import MINUTE_MS
from chaincast.protocol.commands import User

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        ConditionCheckTypeDef,
        ScanInputTypeDef,
        TransactWriteItemTypeDef,
        UpdateItemInputTypeDef,
    )

MAX_CONNECTION_SECONDS = 2 * 3600
"""Seconds after which API Gateway closes every WebSocket, active or not ("Amazon API Gateway quotas")."""

ACTIVITY_SLOT_SECONDS = 300
"""Resolution of a connection's last activity, in seconds: the index by it is written at most once per slot."""

HEARTBEAT_PARTITIONS = 16
"""Partitions of the index `by_beat` per dialect, because DynamoDB limits one partition to 1,000 writes a second."""

_EXPIRY_MARGIN_SECONDS = 600
_REMOVED_MINUTES = 12


@dataclass(frozen=True, slots=True)
class Connection:
    """The record of a connection.

    connected_at: time of the handshake, in milliseconds.
    user: id of the authenticated user; empty if the connection is anonymous.
    user_until: time (s) when the user's token ends; 0 if it does not end.
    premium: True if the user may subscribe to premium topics.
    joined: True if the client has joined the namespace, in dialects that have this step.
    undecided: True if the handshake named no dialect, so that the first message may still change it.
    active_slot: number of the activity slot in which the connection was last active.
    identity: number of changes of the user or of `joined`. A decision for an earlier identity is not stored.
    """

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
    active_slot: int = 0
    identity: int = 0


class IdentityChanged(ChaincastError):
    """The connection's identity is no longer the one that a decision was made for, or its record was deleted."""


def activity_slot(now_ms: int) -> int:
    """Return the number of the activity slot at a time."""
    return now_ms // 1000 // ACTIVITY_SLOT_SECONDS


def heartbeat_partition(dialect: str, number: int) -> str:
    """Return the key of a partition of the index `by_beat`."""
    return f"{dialect}#{number:02d}"


def _partition_of_connection(connection_id: str, dialect: str) -> str:
    return heartbeat_partition(dialect, crc32(connection_id.encode()) % HEARTBEAT_PARTITIONS)


class ConnectionStore:
    """Reads and writes connection records."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def put(self, connection: Connection) -> None:
        """Write the record of a new connection."""
        now = connection.connected_at
        item: dict[str, AttributeValueTypeDef] = {
            "connection_id": {"S": connection.connection_id},
            "dialect": {"S": connection.dialect},
            "source_ip": {"S": connection.source_ip},
            "origin": {"S": connection.origin},
            "connected_at": {"N": str(now)},
            "beat": {"S": _partition_of_connection(connection.connection_id, connection.dialect)},
            "seen": {"N": str(activity_slot(now))},
            "expires_at": {"N": str(now // 1000 + MAX_CONNECTION_SECONDS + _EXPIRY_MARGIN_SECONDS)},
        }
        if connection.user:
            item |= _identity_attributes(connection.user, connection.user_until, premium=connection.premium)
        if connection.undecided:
            item["undecided"] = {"BOOL": True}
        self._client.put_item(TableName=self._table, Item=item)

    def identity_change(
        self, connection_id: str, identity: int, *, user: User | None = None, joined: bool | None = None
    ) -> TransactWriteItemTypeDef:
        """Return the write that records a connection's user and whether it has joined. None leaves a value as it is.

        Its condition is that the connection has a record with this identity.
        """
        values: dict[str, AttributeValueTypeDef] = {"identity": {"N": str(identity + 1)}}
        if user is not None:
            values |= _identity_attributes(user.id, user.expires_at, premium=user.premium)
        if joined is not None:
            values["joined"] = {"BOOL": joined}
        condition, condition_values = _has_identity(identity)
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"connection_id": {"S": connection_id}},
                "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {f"#{name}": name for name in values} | {"#identity": "identity"},
                "ExpressionAttributeValues": {f":{name}": v for name, v in values.items()} | condition_values,
            }
        }

    def identity_check(self, connection_id: str, identity: int) -> TransactWriteItemTypeDef:
        """Return the check that the connection has a record with this identity."""
        condition, values = _has_identity(identity)
        check: ConditionCheckTypeDef = {
            "TableName": self._table,
            "Key": {"connection_id": {"S": connection_id}},
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#identity": "identity"},
        }
        if values:
            check["ExpressionAttributeValues"] = values
        return {"ConditionCheck": check}

    def set_dialect(self, connection_id: str, dialect: str) -> bool:
        """Record the dialect that a connection's first message has shown.

        Return False without a change if the dialect was decided before, or if the connection has no record.
        """
        values: dict[str, AttributeValueTypeDef] = {
            "dialect": {"S": dialect},
            "beat": {"S": _partition_of_connection(connection_id, dialect)},
            "undecided": {"BOOL": False},
        }
        return self._set(connection_id, values, "undecided = :before", {":before": {"BOOL": True}})

    def _set(
        self,
        connection_id: str,
        values: Mapping[str, AttributeValueTypeDef],
        condition: str,
        condition_values: Mapping[str, AttributeValueTypeDef] | None = None,
    ) -> bool:
        """Set attributes of a record. Return False if the condition does not hold."""
        update: UpdateItemInputTypeDef = {
            "TableName": self._table,
            "Key": {"connection_id": {"S": connection_id}},
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in values},
            "ExpressionAttributeValues": {
                **{f":{name}": value for name, value in values.items()},
                **(condition_values or {}),
            },
        }
        try:
            retry_conflicts(lambda: self._client.update_item(**update))
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def mark_active(self, connection_id: str, now_ms: int) -> Connection | None:
        """Record that a connection is active. Return its record; None if it has none, because it was closed."""
        update = self._activity_update(connection_id, now_ms)
        item = self._update_record(update)
        return None if item is None else _connection(item)

    def count_message(self, connection_id: str, now_ms: int) -> tuple[Connection, int] | None:
        """Count a message. Return the connection's record and its number of messages in this minute.

        Return None if the connection has no record.

        Each minute has a counter of its own, which messages of later minutes remove. So one write is enough, whereas
        a counter that is reset each minute would have to be read first. After a silence of more than twelve minutes
        an old counter may remain; it takes a dozen bytes.
        """
        minute = now_ms // MINUTE_MS
        earlier = ", ".join(f"m{minute - back}" for back in range(1, _REMOVED_MINUTES + 1))
        update = self._activity_update(connection_id, now_ms)
        update["UpdateExpression"] = f"SET seen = :s ADD m{minute} :one REMOVE {earlier}"
        update["ExpressionAttributeValues"] = {**update["ExpressionAttributeValues"], ":one": {"N": "1"}}
        item = self._update_record(update)
        return None if item is None else (_connection(item), int(item[f"m{minute}"]["N"]))

    def _activity_update(self, connection_id: str, now_ms: int) -> UpdateItemInputTypeDef:
        return {
            "TableName": self._table,
            "Key": {"connection_id": {"S": connection_id}},
            "UpdateExpression": "SET seen = :s",
            "ConditionExpression": "attribute_exists(connection_id)",
            "ExpressionAttributeValues": {":s": {"N": str(activity_slot(now_ms))}},
            "ReturnValues": "ALL_NEW",
        }

    def _update_record(self, update: UpdateItemInputTypeDef) -> Mapping[str, AttributeValueTypeDef] | None:
        try:
            return retry_conflicts(lambda: self._client.update_item(**update))["Attributes"]
        except self._client.exceptions.ConditionalCheckFailedException:
            return None

    def get(self, connection_id: str) -> Connection | None:
        """Read a record consistently. Return None if there is none."""
        response = self._client.get_item(
            TableName=self._table, Key={"connection_id": {"S": connection_id}}, ConsistentRead=True
        )
        return _connection(response["Item"]) if "Item" in response else None

    def get_all(self, connection_ids: Sequence[str]) -> Iterator[Connection]:
        """Read records consistently. Connections without a record are left out; the order is undefined."""
        return map(_connection, read_all(self._client, self._table, _keys(connection_ids)))

    def remove_all(self, connection_ids: Sequence[str]) -> list[Connection]:
        """Delete records. Return those that existed."""
        return [_connection(item) for item in delete_returning_old(self._client, self._table, _keys(connection_ids))]

    def page(self, limit: int, after: str) -> tuple[list[Connection], str]:
        """Read up to `limit` records that follow the connection `after`, in an order without meaning.

        `after` is empty for the first page. Return the records and the `after` of the next page, empty at the end.
        """
        scan: ScanInputTypeDef = {"TableName": self._table, "Limit": limit}
        if after:
            scan["ExclusiveStartKey"] = {"connection_id": {"S": after}}
        response = self._client.scan(**scan)
        last = response.get("LastEvaluatedKey")
        return [_connection(item) for item in response["Items"]], last["connection_id"]["S"] if last else ""

    def idle_since(self, dialect: str, slot: int) -> Iterator[tuple[str, int]]:
        """Find the connections of a dialect that have not been active in `slot` or later.

        Yield connection ids, each with the activity slot in which it was last active. The index is read, which lags
        behind the table by up to a second.
        """
        for number in range(HEARTBEAT_PARTITIONS):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                IndexName="by_beat",
                KeyConditionExpression="beat = :b AND seen < :s",
                ExpressionAttributeValues={
                    ":b": {"S": heartbeat_partition(dialect, number)},
                    ":s": {"N": str(slot)},
                },
                ProjectionExpression="connection_id, seen",
            )
            for page in pages:
                for item in page["Items"]:
                    yield item["connection_id"]["S"], int(item["seen"]["N"])


def _keys(connection_ids: Sequence[str]) -> list[dict[str, AttributeValueTypeDef]]:
    return [{"connection_id": {"S": connection_id}} for connection_id in connection_ids]


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
        active_slot=int(item["seen"]["N"]),
        identity=int(item["identity"]["N"]) if "identity" in item else 0,
    )


def _has_identity(identity: int) -> tuple[str, dict[str, AttributeValueTypeDef]]:
    """Return the condition that a record has this identity, and its values. `#identity` is the attribute's name."""
    if identity == 0:
        return "attribute_exists(connection_id) AND attribute_not_exists(#identity)", {}
    return "#identity = :before", {":before": {"N": str(identity)}}


def _identity_attributes(user: str, until: int, *, premium: bool) -> dict[str, AttributeValueTypeDef]:
    return {"user": {"S": user}, "user_until": {"N": str(until)}, "premium": {"BOOL": premium}}
