"""Holds: while a connection resumes, replay delivers to it and fan-out does not, so that it gets everything in order.

A hold is an item of the Subscriptions table under the pseudo-topic `resuming/{source}`, where fan-out finds it. Both
sides settle on it who delivers which batch, each by a conditional write:

- fan-out passes a batch over by raising `seen`, as long as the hold is not lifted;
- replay lifts the hold behind batch `after`, if fan-out has passed over nothing beyond it; else it replays that too.

Whichever write comes first decides, and no batch is left out or delivered by both.
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
"""No connection lives longer than two hours, and so no hold."""


class HoldLifted(ChaincastError):
    """The hold is over, or another replay's: nothing is left to do for this one."""


@dataclass(frozen=True, slots=True)
class Place:
    """A connection's hold on a source, and the replay whose it is (`token`); `shards` only says where it is."""

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
    """Holds as those who resume place and lift them."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def place(self, place: Place, since: int, now_ms: int) -> None:
        """Let nothing of the source reach the connection but by the replay of this token, which begins behind `since`.

        One that is there already goes over to this replay, and so does what its own had still to replay.
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

    def since(self, place: Place) -> int | None:
        """Behind which batch the replay of this token is to begin; None if no hold of this token is there.

        Raises `HoldLifted` if it is over.
        """
        item = self._get(place)
        if item is None:
            return None
        if "after" in item:
            raise HoldLifted
        return int(item["since"]["N"])

    def advance(self, place: Place, since: int) -> None:
        """Note that the replay is done up to here. Raises `HoldLifted` if the hold is not of this token any more."""
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
            raise HoldLifted from None

    def lift(self, place: Place, after: int) -> bool:
        """Let fan-out deliver what comes behind batch `after`. False: it has passed more over, which is to be replayed.

        Raises `HoldLifted` if the hold is not of this token any more.
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
                raise HoldLifted from None
            return False
        return True

    def remove(self, place: Place) -> None:
        """Delete a hold of this token: long after it was lifted, or if the connection is gone."""
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.delete_item(
                TableName=self._table,
                Key=place.key,
                ConditionExpression="#t = :t",
                ExpressionAttributeNames={"#t": "token"},
                ExpressionAttributeValues={":t": {"S": place.token}},
            )

    def _get(self, place: Place) -> dict[str, AttributeValueTypeDef] | None:
        answer = self._client.get_item(TableName=self._table, Key=place.key, ConsistentRead=True)
        item = answer.get("Item")
        return item if item is not None and item["token"]["S"] == place.token else None
