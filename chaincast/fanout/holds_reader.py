"""Fan-out's side of holds (chaincast/replay/holds.py): the connections of a source that replay delivers to."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson

from chaincast.aws.fast.dynamodb import Partition, TableUnavailable, execute
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.model.sharding import ShardAssignment, hold_partition_topic


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold: its partition, and the batch after which fan-out delivers again (None: the hold is not released)."""

    partition: str
    after: int | None


class HoldReader:
    """Reads holds with the asynchronous client, and leaves batches to replay."""

    def __init__(self, client: ServiceClient, table: str) -> None:
        self._client = client
        self._table = table
        self.requests = 0

    async def read(self, source: str, worker: ShardAssignment) -> dict[str, Hold]:
        """Return the holds on a shard's connections. Raise `TableUnavailable` on failure."""
        partitions = [
            Partition(self._client, self._table, key, "connection_id, #a", {"#a": "after"})
            for key, _ in worker.partitions(hold_partition_topic(source))
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

    async def defer_to_replay(self, connection_id: str, hold: Hold, seq: int) -> int | None:
        """Leave the source's batches up to `seq` to replay.

        Return None if replay will deliver them. If the hold was released, return the number of the batch after which
        fan-out must deliver. Raise `TableUnavailable` on failure.
        """
        if hold.after is not None:
            return hold.after
        self.requests += 1
        answer = await execute(
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
        if not item:  # the hold was removed, so fan-out delivers everything
            return 0
        return int(item["after"]["N"]) if "after" in item else None
