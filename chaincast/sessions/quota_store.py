"""Who is open, and how many came lately: one item of the State table per address and per user, and who is barred.

    key `ip/…` or `user/…`, sort `limits`: `open` (ids of open connections), `came` in the window that ends at `until`,
    `barred` until then (ms)
    key `user/…`, sort `minute/…`: messages in that minute, `all` and of each connection

Every count is one conditional write, so that however many functions count at once, exactly as many get in as may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from chaincast.errors import ClientError, Code
from chaincast.policy.rate_limits import MINUTE_MS, Visit, retry_after
from chaincast.sessions.connection_store import MAX_SECONDS, Connections

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_GRACE_SECONDS = 600
_ATTEMPTS = 8
"""Each is lost to somebody else who did get in, or to what is mended before the next."""

Item = Mapping[str, "AttributeValueTypeDef"]


class Admission:
    """The counting, for functions that let connections in, watch them, or forget them."""

    def __init__(self, client: DynamoDBClient, state: str, connections: Connections) -> None:
        self._client = client
        self._table = state
        self._connections = connections

    def enter(self, owner: str, connection_id: str, now_ms: int, *, per_minute: int, at_once: int) -> None:
        """Let a connection in, for an address or a user. Raises `ClientError`: RATE_LIMITED, MAX_CONNECTIONS."""
        begins = per_minute > 0  # a window, most likely: who comes seldom costs one write
        for _ in range(_ATTEMPTS):
            found = self._try(owner, connection_id, now_ms, per_minute=per_minute, at_once=at_once, begins=begins)
            if found is None:
                return
            if (ms := _number(found, "barred") - now_ms) > 0:
                raise ClientError(Code.RATE_LIMITED, "too much came from there: wait", details=retry_after(ms))
            running = _number(found, "until") > now_ms
            if per_minute and running and (count := _number(found, "came")) >= per_minute:
                words = f"{count} connections came from there within a minute; at most {per_minute}"
                raise ClientError(Code.RATE_LIMITED, words, details=retry_after(_number(found, "until") - now_ms))
            held = _strings(found, "open")
            if at_once and len(held) >= at_once and not self._heal(owner, held, now_ms):
                words = f"{len(held)} connections are open; at most {at_once}: close some"
                raise ClientError(Code.MAX_CONNECTIONS, words)
            begins = per_minute > 0 and not running
        raise ClientError(Code.RATE_LIMITED, "many connect from there at once: try again", details=retry_after(1))

    def leave(self, owner: str, connection_ids: Sequence[str]) -> None:
        """Connections are not open any more; repeating it is harmless."""
        self._update(owner, "DELETE #open :ids", "attribute_exists(#open)", {":ids": {"SS": list(connection_ids)}})

    def open(self, owner: str) -> Sequence[str]:
        """The connections that are counted as open."""
        answer = self._client.get_item(TableName=self._table, Key=_key(owner), ConsistentRead=True)
        return _strings(answer.get("Item", {}), "open")

    def bar(self, owner: str, until_ms: int) -> None:
        """Let nobody in from there until then."""
        self._client.update_item(
            TableName=self._table,
            Key=_key(owner),
            UpdateExpression="SET barred = :b, expires_at = :e",
            ExpressionAttributeValues={":b": {"N": str(until_ms)}, ":e": _expiry(until_ms)},
        )

    def count_message(self, owner: str, connection_id: str, now_ms: int) -> Visit:
        """Count a message of a user's connection."""
        minute = now_ms // MINUTE_MS
        mine = f"c{crc32(connection_id.encode()):x}"
        answer = self._client.update_item(
            TableName=self._table,
            Key={"key": {"S": owner}, "sort": {"S": f"minute/{minute}"}},
            UpdateExpression="SET expires_at = :e ADD #all :one, #mine :one",
            ExpressionAttributeNames={"#all": "all", "#mine": mine},
            ExpressionAttributeValues={":one": {"N": "1"}, ":e": {"N": str((minute + 2) * 60)}},
            ReturnValues="UPDATED_NEW",
        )["Attributes"]
        return Visit(_number(answer, mine), _number(answer, "all"))

    def _try(
        self, owner: str, connection_id: str, now_ms: int, *, per_minute: int, at_once: int, begins: bool
    ) -> Item | None:
        """One attempt; None if it let the connection in, else what is on record."""
        values: dict[str, AttributeValueTypeDef] = {":now": {"N": str(now_ms)}, ":e": _expiry(now_ms)}
        sets, adds = ["expires_at = :e"], []
        conditions = ["(attribute_not_exists(barred) OR barred <= :now)"]
        if per_minute:
            values[":one"] = {"N": "1"}
            if begins:
                sets += ["came = :one", "#until = :end"]
                conditions.append("(attribute_not_exists(#until) OR #until <= :now)")
                values[":end"] = {"N": str(now_ms + MINUTE_MS)}
            else:
                sets.append("came = came + :one")
                conditions.append("#until > :now AND came < :rate")
                values[":rate"] = {"N": str(per_minute)}
        if at_once:
            adds.append("#open :id")
            conditions.append("(attribute_not_exists(#open) OR size(#open) < :most)")
            values |= {":id": {"SS": [connection_id]}, ":most": {"N": str(at_once)}}
        change = "SET " + ", ".join(sets) + (" ADD " + ", ".join(adds) if adds else "")
        return self._update(owner, change, " AND ".join(conditions), values)

    def _heal(self, owner: str, held: Sequence[str], now_ms: int) -> bool:
        """Take out connections that are gone without a word; whether there were any. At most once a minute: it reads
        every record."""
        recently: dict[str, AttributeValueTypeDef] = {
            ":now": {"N": str(now_ms)},
            ":ago": {"N": str(now_ms - MINUTE_MS)},
        }
        seldom = "attribute_not_exists(healed) OR healed <= :ago"
        if self._update(owner, "SET healed = :now", seldom, recently) is not None:
            return False
        there = {connection.connection_id for connection in self._connections.get_all(held)}
        gone = [connection_id for connection_id in held if connection_id not in there]
        if gone:
            self.leave(owner, gone)
        return bool(gone)

    def _update(
        self, owner: str, change: str, condition: str, values: Mapping[str, AttributeValueTypeDef]
    ) -> Item | None:
        """Change the item; None if the condition held, else what is on record."""
        names = {f"#{name}": name for name in ("open", "until") if f"#{name}" in change + condition}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key(owner),
                UpdateExpression=change,
                ConditionExpression=condition,
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **({"ExpressionAttributeNames": names} if names else {}),  # type: ignore[arg-type]  # as typed above
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            found: Item = error.response.get("Item", {})  # type: ignore[assignment]  # boto3's stubs know of no item
            return found
        return None


def _key(owner: str) -> dict[str, AttributeValueTypeDef]:
    return {"key": {"S": owner}, "sort": {"S": "limits"}}


def _expiry(now_ms: int) -> AttributeValueTypeDef:
    """When nothing on an item matters any more: its connections are over by then."""
    return {"N": str(now_ms // 1000 + MAX_SECONDS + _GRACE_SECONDS)}


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0


def _strings(item: Item, name: str) -> Sequence[str]:
    return item[name]["SS"] if name in item else ()
