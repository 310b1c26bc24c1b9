"""Holds: while a connection resumes, the replay delivers to it and fan-out does not, which keeps the order.

A hold is an item of the Subscriptions table under the topic `resuming/{source}`, where fan-out reads it
(chaincast/fanout/holds_reader.py). Both sides agree on who delivers which batch:

- Fan-out leaves a batch to all replays of a partition with one write: it raises `passed` of the partition's item
  `PASSED`. Then it reads the holds again, and leaves the batch only to those that are still there and not closing.

- A replay that has reached the end of the log sets `closing` on its hold, and only then reads `passed`. If fan-out has
  left it nothing beyond batch `after`, it releases the hold after that batch; otherwise it delivers that, too.

- While a hold is closing, fan-out leaves it a batch by a conditional write on the hold itself (`seen`), and the release
  is conditional on `seen`: whichever write is first decides.

If fan-out's second read does not show `closing`, then `closing` was stored after `passed` was, and the replay reads
that value or a higher one. So no batch is left out or delivered by both.

Compatibility: up to version 1.0 the owner of a hold was the attribute `token`, and fan-out wrote `seen` on each hold. A
hold with `token` may be released by a replay that does not know `passed`, so fan-out still writes `seen` on it. A hold
of this version has `replay` instead, which older replays do not accept.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from chaincast.aws.transactions import retry_conflicts
from chaincast.errors import ChaincastError
from chaincast.model.holds import MAX_SECONDS, PASSED, HoldKey, Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef


class HoldReleased(ChaincastError):
    """The hold was released, or belongs to another replay: this replay has nothing left to do."""


def place_hold(table: str, place: HoldKey, since: int, now_ms: int, before: Item | None) -> TransactWriteItemTypeDef:
    """Return the write that places a hold: fan-out holds a source's events back until this replay ends.

    `before`: the hold that is there, as it was read; the write is conditional on it. If it is not released, this
    replay takes it over, and begins at the earlier of both positions, because it owes what the other one did. It also
    owes the batches that fan-out has left to the other (`seen`).
    """
    condition, values = "attribute_not_exists(connection_id)", {}
    if before is not None and "after" in before:
        condition = "attribute_exists(#a)"
    elif before is not None:
        condition, values = "attribute_not_exists(#a) AND since = :read", {":read": before["since"]}
        since = min(since, int(before["since"]["N"]))
    values |= {
        ":t": {"S": place.token},
        ":s": {"N": str(since)},
        ":e": {"N": str(now_ms // 1000 + MAX_SECONDS)},
        ":zero": {"N": "0"},
    }
    return {
        "Update": {
            "TableName": table,
            "Key": _key(place),
            "UpdateExpression": "SET replay = :t, since = :s, expires_at = :e, seen = if_not_exists(seen, :zero) "
            "REMOVE #a, closing, stalled, #t",
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#a": "after", "#t": "token"},
            "ExpressionAttributeValues": values,
        }
    }


class Holds:
    """Reads, moves and releases holds of connections that resume."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def since(self, place: HoldKey) -> tuple[int, bool] | None:
        """Return the number of the batch after which the replay begins, and whether its last try delivered nothing.

        None: there is no hold of this token. Raise `HoldReleased` if the hold was released.
        """
        item = self._get(place)
        if item is None:
            return None
        if "after" in item:
            raise HoldReleased
        return int(item["since"]["N"]), "stalled" in item

    def advance(self, place: HoldKey, since: int) -> None:
        """Record how far the replay has delivered. Raise `HoldReleased` if another replay owns the hold."""
        if self._update(place, "SET since = :s REMOVE stalled", {":s": {"N": str(since)}}) is None:
            raise HoldReleased

    def release(self, place: HoldKey, after: int) -> bool:
        """Let fan-out deliver what follows batch `after`. Return False if it has left more to the replay.

        Raise `HoldReleased` if another replay owns the hold.
        """
        if self._update(place, "SET closing = :c", {":c": {"BOOL": True}}) is None:
            raise HoldReleased
        if self._passed(place) > after:
            return False
        if self._update(place, "SET #a = :a", {":a": {"N": str(after)}}, "seen <= :a", {"#a": "after"}) is not None:
            return True
        if self._get(place) is None:
            raise HoldReleased
        return False

    def stalled(self, place: HoldKey) -> int:
        """Count a try that delivered nothing, and return the number of such tries.

        Raise `HoldReleased` if another replay owns the hold.
        """
        updated = self._update(place, "ADD stalled :one", {":one": {"N": "1"}})
        if updated is None:
            raise HoldReleased
        return int(updated["stalled"]["N"])

    def remove(self, place: HoldKey) -> None:
        """Delete a hold of this token: long after its release, or if the connection is closed."""
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            retry_conflicts(
                lambda: self._client.delete_item(
                    TableName=self._table,
                    Key=_key(place),
                    ConditionExpression=_OWNED,
                    ExpressionAttributeNames={"#t": "token"},
                    ExpressionAttributeValues={":t": {"S": place.token}},
                )
            )

    def _update(
        self,
        place: HoldKey,
        expression: str,
        values: Mapping[str, AttributeValueTypeDef],
        condition: str = "",
        names: Mapping[str, str] | None = None,
    ) -> Mapping[str, AttributeValueTypeDef] | None:
        """Update a hold of this token. Return its attributes, or None if it is another's or `condition` fails."""
        try:
            answer = retry_conflicts(
                lambda: self._client.update_item(
                    TableName=self._table,
                    Key=_key(place),
                    UpdateExpression=expression,
                    ConditionExpression=f"({_OWNED}) AND {condition}" if condition else _OWNED,
                    ExpressionAttributeNames={"#t": "token", **(names or {})},
                    ExpressionAttributeValues={**values, ":t": {"S": place.token}},
                    ReturnValues="ALL_NEW",
                )
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return None
        return answer["Attributes"]

    def _passed(self, place: HoldKey) -> int:
        """Return the newest batch that fan-out has left to the replays of the hold's partition."""
        key = {**_key(place), "connection_id": {"S": PASSED}}
        item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        return 0 if item is None else int(item["passed"]["N"])

    def _get(self, place: HoldKey) -> dict[str, AttributeValueTypeDef] | None:
        answer = self._client.get_item(TableName=self._table, Key=_key(place), ConsistentRead=True)
        item = answer.get("Item")
        return item if item is not None and place.token in _owners(item) else None


def _key(place: HoldKey) -> dict[str, AttributeValueTypeDef]:
    return {"topic_shard": {"S": place.partition}, "connection_id": {"S": place.connection_id}}


_OWNED = "replay = :t OR #t = :t"


def _owners(item: Mapping[str, AttributeValueTypeDef]) -> list[str]:
    return [item[name]["S"] for name in ("replay", "token") if name in item]
