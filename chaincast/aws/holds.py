"""Holds: while a connection resumes, replay delivers to it and fan-out does not, so that it gets everything in order.

A hold is an item of the Subscriptions table under the pseudo-topic `resuming/{source}`, where fan-out finds it. Both
sides settle on it who delivers which batch, each by a conditional write:

- fan-out passes a batch over by raising `seen`, as long as the hold is not lifted;
- replay lifts the hold behind batch `after`, if fan-out has passed over nothing beyond it; else it replays that too.

Whichever write comes first decides, and no batch is left out or delivered by both.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from chaincast.aws.call import ServiceClient
from chaincast.aws.query import Partition, TableUnavailable, call
from chaincast.errors import ChaincastError
from chaincast.shards import Worker, home

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

MAX_SECONDS = 3 * 3600
"""No connection lives longer than two hours, and so no hold."""


def pseudo_topic(source: str) -> str:
    """Where the holds of a source are; no topic begins with `resuming/`."""
    return f"resuming/{source}"


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
            "topic_shard": {"S": home(pseudo_topic(self.source), self.connection_id, self.shards)},
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


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold as fan-out sees it: where it is, and behind which batch it was lifted, if it was."""

    partition: str
    after: int | None


class HeldConnections:
    """Holds as fan-out meets them, by the hot client."""

    def __init__(self, client: ServiceClient, table: str) -> None:
        self._client = client
        self._table = table
        self.requests = 0

    async def of(self, source: str, worker: Worker) -> dict[str, Hold]:
        """The holds on a worker's connections. Raises `TableUnavailable`."""
        partitions = [
            Partition(self._client, self._table, key, "connection_id, #a", {"#a": "after"})
            for key, _ in worker.partitions(pseudo_topic(source))
        ]
        holds: dict[str, Hold] = {}
        for found in await asyncio.gather(*(self._read(partition) for partition in partitions)):
            holds |= found
        return holds

    async def _read(self, partition: Partition) -> dict[str, Hold]:
        holds = {}
        async for page in partition.pages():
            self.requests += 1
            for item in page:
                after = int(item["after"]["N"]) if "after" in item else None
                holds[item["connection_id"]["S"]] = Hold(partition.key, after)
        return holds

    async def pass_over(self, connection_id: str, hold: Hold, seq: int) -> int | None:
        """Leave the source's batches up to `seq` to replay. None: it will deliver them; else the batch behind which
        fan-out is to deliver, because the hold was lifted meanwhile. Raises `TableUnavailable`."""
        if hold.after is not None:
            return hold.after
        self.requests += 1
        answer = await call(
            self._client,
            "UpdateItem",
            {
                "TableName": self._table,
                "Key": {"topic_shard": {"S": hold.partition}, "connection_id": {"S": connection_id}},
                "UpdateExpression": "SET seen = :b",
                "ConditionExpression": "attribute_not_exists(#a) AND seen < :b",
                "ExpressionAttributeNames": {"#a": "after"},
                "ExpressionAttributeValues": {":b": {"N": str(seq)}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            },
        )
        if answer.status == 200:
            return None
        if b"ConditionalCheckFailed" not in answer.body:
            raise TableUnavailable(f"{self._table} refused an update: {answer.body[:300].decode(errors='replace')}")
        item = orjson.loads(answer.body).get("Item")
        if not item:  # the hold was removed, and with it every reason to wait
            return 0
        return int(item["after"]["N"]) if "after" in item else None
