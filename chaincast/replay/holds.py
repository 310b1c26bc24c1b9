"""Holds: while a connection resumes, the replay delivers to it and fan-out does not, which keeps the order.

A hold is an item of the Subscriptions table under the topic `resuming/{source}`, where fan-out reads it
(chaincast/fanout/holds_reader.py). Both sides agree through it on who delivers which batch, each by a conditional
write:

- fan-out leaves a batch to the replay by raising `seen`, as long as the hold is not released;

- the replay releases the hold after batch `after`, on condition that fan-out has left it nothing beyond that; otherwise
it delivers that, too.

Whichever write is first decides. No batch is left out or delivered by both.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaincast.errors import ChaincastError
from chaincast.model.sharding import hold_partition_topic, subscription_partition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

MAX_SECONDS = 3 * 3600
"""Maximum lifetime of a hold in seconds: no connection lives longer than two hours."""


class HoldReleased(ChaincastError):
    """The hold was released, or belongs to another replay: this replay has nothing left to do."""


@dataclass(frozen=True, slots=True)
class HoldKey:
    """The key of a connection's hold on a source. `token`: the replay that owns it; `shards` locates its partition."""

    connection_id: str
    source: str
    shards: int
    token: str

    @property
    def key(self) -> dict[str, AttributeValueTypeDef]:
        return {
            "topic_shard": {
                "S": subscription_partition(hold_partition_topic(self.source), self.connection_id, self.shards)
            },
            "connection_id": {"S": self.connection_id},
        }


class Holds:
    """Creates and releases holds for connections that resume."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def place(self, place: HoldKey, since: int, now_ms: int) -> None:
        """Hold a source's events back until the replay with this token, which begins after `since`, ends.

        If a hold already exists, this replay takes it over and continues from the earlier of the two positions.
        """
        item: dict[str, AttributeValueTypeDef] = {
            **place.key,
            "token": {"S": place.token},
            "since": {"N": str(since)},
            "seen": {"N": "0"},
            "expires_at": {"N": str(now_ms // 1000 + MAX_SECONDS)},
        }
        before = self._client.put_item(TableName=self._table, Item=item, ReturnValues="ALL_OLD").get("Attributes")
        if before and "after" not in before and int(before["since"]["N"]) < since:
            self._client.put_item(TableName=self._table, Item={**item, "since": before["since"]})

    def since(self, place: HoldKey) -> int | None:
        """Return the number of the batch after which the replay begins, or None if there is no hold of this token.

        Raise `HoldReleased` if the hold was released.
        """
        item = self._get(place)
        if item is None:
            return None
        if "after" in item:
            raise HoldReleased
        return int(item["since"]["N"])

    def advance(self, place: HoldKey, since: int) -> None:
        """Record how far the replay has delivered. Raise `HoldReleased` if another replay owns the hold."""
        try:
            self._client.update_item(
                TableName=self._table,
                Key=place.key,
                UpdateExpression="SET since = :s",
                ConditionExpression="#t = :t",
                ExpressionAttributeNames={"#t": "token"},
                ExpressionAttributeValues={":s": {"N": str(since)}, ":t": {"S": place.token}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise HoldReleased from None

    def release(self, place: HoldKey, after: int) -> bool:
        """Let fan-out deliver what follows batch `after`. Return False if it has left more to the replay.

        Raise `HoldReleased` if another replay owns the hold.
        """
        try:
            self._client.update_item(
                TableName=self._table,
                Key=place.key,
                UpdateExpression="SET #a = :a",
                ConditionExpression="#t = :t AND seen <= :a",
                ExpressionAttributeNames={"#a": "after", "#t": "token"},
                ExpressionAttributeValues={":a": {"N": str(after)}, ":t": {"S": place.token}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            if self._get(place) is None:
                raise HoldReleased from None
            return False
        return True

    def remove(self, place: HoldKey) -> None:
        """Delete a hold of this token: long after its release, or if the connection is closed."""
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.delete_item(
                TableName=self._table,
                Key=place.key,
                ConditionExpression="#t = :t",
                ExpressionAttributeNames={"#t": "token"},
                ExpressionAttributeValues={":t": {"S": place.token}},
            )

    def _get(self, place: HoldKey) -> dict[str, AttributeValueTypeDef] | None:
        answer = self._client.get_item(TableName=self._table, Key=place.key, ConsistentRead=True)
        item = answer.get("Item")
        return item if item is not None and item["token"]["S"] == place.token else None
