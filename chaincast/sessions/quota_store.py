"""Quotas of addresses and users, in the State table: open connections, connection rate, messages, bans.

    key `ip/…` or `user/…`, sort `limits`: `open` (ids of open connections), `came` (connections in the window that
    ends at `until`), `barred` (end of a ban), `healed` (time of the last reconciliation); times in ms
    key `user/…`, sort `minute/…`: messages in that minute, `all` and of each connection

Every count is one conditional write, so the limits hold exactly however many functions count at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from chaincast.errors import Code, RequestError
from chaincast.policy.rate_limits import MINUTE_MS, MessageCounts, retry_after
from chaincast.sessions.connection_store import MAX_CONNECTION_SECONDS, ConnectionStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_EXPIRY_MARGIN_SECONDS = 600
_MAX_ATTEMPTS = 8
"""An attempt fails if another connection was admitted, or because of a state that the next attempt allows for."""

Item = Mapping[str, "AttributeValueTypeDef"]


@dataclass(frozen=True, slots=True)
class _UpdateResult:
    """Result of a conditional write.

    applied: True if the condition held.
    item: the stored item, if the condition did not hold; else empty.
    """

    applied: bool
    item: Item


class QuotaStore:
    """Counts connections and messages against quotas. An owner is an address or a user (`policy.rate_limits`)."""

    def __init__(self, client: DynamoDBClient, state_table: str, connections: ConnectionStore) -> None:
        self._client = client
        self._table = state_table
        self._connections = connections

    def admit(self, owner: str, connection_id: str, now_ms: int, *, per_minute: int, at_once: int) -> None:
        """Count a new connection of an owner.

        `per_minute` and `at_once` are the limits of new and of open connections; 0 means no limit. Raise `RequestError`
        (RATE_LIMITED if the owner is banned or connects too often, MAX_CONNECTIONS if too many connections are open).
        """
        starts_window = per_minute > 0  # most likely: an owner that seldom connects costs one write
        for _ in range(_MAX_ATTEMPTS):
            attempt = self._try_admit(
                owner, connection_id, now_ms, per_minute=per_minute, at_once=at_once, starts_window=starts_window
            )
            if attempt.applied:
                return
            ban_ms = _number(attempt.item, "barred") - now_ms
            if ban_ms > 0:
                wait = retry_after(ban_ms)
                raise RequestError(
                    Code.RATE_LIMITED, f"temporarily banned; retry after {wait['retry_after']} s", details=wait
                )
            window_ms = _number(attempt.item, "until") - now_ms
            recent = _number(attempt.item, "came")
            if per_minute and window_ms > 0 and recent >= per_minute:
                raise RequestError(
                    Code.RATE_LIMITED,
                    f"{recent} new connections within a minute; at most {per_minute}: retry later",
                    details=retry_after(window_ms),
                )
            open_ids = _strings(attempt.item, "open")
            if at_once and len(open_ids) >= at_once and not self._reconcile(owner, open_ids, now_ms):
                raise RequestError(
                    Code.MAX_CONNECTIONS, f"{len(open_ids)} connections are open; at most {at_once}: close some"
                )
            starts_window = per_minute > 0 and window_ms <= 0
        wait = retry_after(1)
        raise RequestError(
            Code.RATE_LIMITED,
            f"too many concurrent connection attempts; retry after {wait['retry_after']} s",
            details=wait,
        )

    def release(self, owner: str, connection_ids: Sequence[str]) -> None:
        """Remove connections from an owner's open ones. Connections that are not counted are ignored."""
        self._update(
            owner,
            "DELETE #open :ids",
            "attribute_exists(#open)",
            {":ids": {"SS": list(connection_ids)}},
            {"#open": "open"},
        )

    def open_connections(self, owner: str) -> Sequence[str]:
        """Return the ids of an owner's open connections."""
        response = self._client.get_item(TableName=self._table, Key=_key(owner), ConsistentRead=True)
        return _strings(response.get("Item", {}), "open")

    def ban_until(self, owner: str, until_ms: int) -> None:
        """Refuse new connections of an owner until a time."""
        self._client.update_item(
            TableName=self._table,
            Key=_key(owner),
            UpdateExpression="SET barred = :b, expires_at = :e",
            ExpressionAttributeValues={":b": {"N": str(until_ms)}, ":e": _expiry(until_ms)},
        )

    def count_message(self, owner: str, connection_id: str, now_ms: int) -> MessageCounts:
        """Count a message of a user's connection. Return the numbers of messages in this minute."""
        minute = now_ms // MINUTE_MS
        counter = f"c{crc32(connection_id.encode()):x}"
        attributes = self._client.update_item(
            TableName=self._table,
            Key={"key": {"S": owner}, "sort": {"S": f"minute/{minute}"}},
            UpdateExpression="SET expires_at = :e ADD #all :one, #connection :one",
            ExpressionAttributeNames={"#all": "all", "#connection": counter},
            ExpressionAttributeValues={":one": {"N": "1"}, ":e": {"N": str((minute + 2) * 60)}},
            ReturnValues="UPDATED_NEW",
        )["Attributes"]
        return MessageCounts(_number(attributes, counter), _number(attributes, "all"))

    def _try_admit(
        self, owner: str, connection_id: str, now_ms: int, *, per_minute: int, at_once: int, starts_window: bool
    ) -> _UpdateResult:
        """Count a connection if the limits allow it. `starts_window`: the write expects that no window is running."""
        names: dict[str, str] = {}
        values: dict[str, AttributeValueTypeDef] = {":now": {"N": str(now_ms)}, ":e": _expiry(now_ms)}
        assignments, additions = ["expires_at = :e"], ""
        conditions = ["(attribute_not_exists(barred) OR barred <= :now)"]
        if per_minute:
            names["#until"] = "until"
            values[":one"] = {"N": "1"}
            if starts_window:
                assignments += ["came = :one", "#until = :end"]
                conditions.append("(attribute_not_exists(#until) OR #until <= :now)")
                values[":end"] = {"N": str(now_ms + MINUTE_MS)}
            else:
                assignments.append("came = came + :one")
                conditions.append("#until > :now AND came < :rate")
                values[":rate"] = {"N": str(per_minute)}
        if at_once:
            names["#open"] = "open"
            additions = " ADD #open :id"
            conditions.append("(attribute_not_exists(#open) OR size(#open) < :most)")
            values |= {":id": {"SS": [connection_id]}, ":most": {"N": str(at_once)}}
        expression = "SET " + ", ".join(assignments) + additions
        return self._update(owner, expression, " AND ".join(conditions), values, names)

    def _reconcile(self, owner: str, open_ids: Sequence[str], now_ms: int) -> bool:
        """Remove connections without a record, whose end was missed. Return True if there were any.

        This is done at most once a minute per owner, because it reads every record.
        """
        reservation = self._update(
            owner,
            "SET healed = :now",
            "attribute_not_exists(healed) OR healed <= :ago",
            {":now": {"N": str(now_ms)}, ":ago": {"N": str(now_ms - MINUTE_MS)}},
        )
        if not reservation.applied:
            return False
        recorded = {connection.connection_id for connection in self._connections.get_all(open_ids)}
        missing = [connection_id for connection_id in open_ids if connection_id not in recorded]
        if missing:
            self.release(owner, missing)
        return bool(missing)

    def _update(
        self,
        owner: str,
        expression: str,
        condition: str,
        values: Mapping[str, AttributeValueTypeDef],
        names: Mapping[str, str] | None = None,
    ) -> _UpdateResult:
        """Update an owner's item if a condition holds. `names`: the reserved words that the expressions use."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(owner),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **({"ExpressionAttributeNames": names} if names else {}),  # type: ignore[arg-type]  # as typed above
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item: Item = error.response.get("Item", {})  # type: ignore[assignment]  # boto3's stubs know of no item
            return _UpdateResult(applied=False, item=item)
        return _UpdateResult(applied=True, item={})


def _key(owner: str) -> dict[str, AttributeValueTypeDef]:
    return {"key": {"S": owner}, "sort": {"S": "limits"}}


def _expiry(now_ms: int) -> AttributeValueTypeDef:
    """Return the time (s) at which every connection of the item has ended, so that DynamoDB may delete it."""
    return {"N": str(now_ms // 1000 + MAX_CONNECTION_SECONDS + _EXPIRY_MARGIN_SECONDS)}


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def _strings(item: Item, name: str) -> Sequence[str]:
    return item[name]["SS"] if name in item else ()
