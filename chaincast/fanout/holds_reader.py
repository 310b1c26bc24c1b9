"""Fan-out's side of holds (chaincast/replay/holds.py): the connections of a source that replay delivers to.

However many connections resume, a batch costs one write per partition with holds, and two reads of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from chaincast.aws.fast.dynamodb import Item, Partition, TableUnavailable, execute
from chaincast.aws.fast.service_client import Response, ServiceClient
from chaincast.model.holds import PASSED
from chaincast.model.sharding import ShardAssignment, hold_partition_topic

PASSED_SECONDS = 6 * 3600
"""Seconds after which DynamoDB may delete `passed`. No hold lives longer than three hours."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold: its partition, and the batch after which fan-out delivers again (None: the hold is not released).

    `decides`: fan-out and replay must agree about each batch on the hold itself, because the replay is about to release
    it, or does not know `passed`.
    """

    partition: str
    after: int | None = None
    decides: bool = False


@dataclass(frozen=True, slots=True)
class FoundHolds:
    """The holds on a shard's connections, and the newest batch left to the replays of each partition."""

    of: dict[str, Hold] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)

    def to_pass(self, seq: int) -> list[str]:
        """Return the partitions whose replays do not know yet that batches up to `seq` are left to them."""
        held = {hold.partition for hold in self.of.values() if hold.after is None}
        return sorted(partition for partition in held if self.passed.get(partition, 0) < seq)


class HoldReader:
    """Reads holds with the asynchronous client, and leaves batches to replays."""

    def __init__(self, client: ServiceClient, table: str) -> None:
        self._client = client
        self._table = table
        self.requests = 0

    async def left_to_replay(
        self, source: str, worker: ShardAssignment, connections: Iterable[str], seq: int
    ) -> Mapping[str, int | None]:
        """Leave the source's batches up to `seq` to the replays of connections on hold.

        Return the connections with a hold, each with None if its replay delivers the batches. If the hold was released,
        return the number of the batch after which fan-out must deliver. Raise `TableUnavailable` on failure.
        """
        holds = await self._read(source, worker)
        while partitions := holds.to_pass(seq):
            await asyncio.gather(*(self._pass(partition, seq) for partition in partitions))
            # Only this read shows which replays will read what was written just now.
            holds = await self._read(source, worker)
        held = {c: holds.of[c] for c in connections if c in holds.of}
        deciding = [connection for connection, hold in held.items() if hold.after is None and hold.decides]
        decided = await asyncio.gather(*(self._decide(c, held[c].partition, seq) for c in deciding))
        return {c: hold.after for c, hold in held.items()} | dict(zip(deciding, decided, strict=True))

    async def _read(self, source: str, worker: ShardAssignment) -> FoundHolds:
        names = {"#a": "after", "#t": "token"}
        partitions = [
            Partition(self._client, self._table, key, "connection_id, #a, closing, passed, #t", names)
            for key, _ in worker.partitions(hold_partition_topic(source))
        ]
        holds = FoundHolds()
        for partition, items in zip(partitions, await asyncio.gather(*map(self._items, partitions)), strict=True):
            for item in items:
                connection_id = item["connection_id"]["S"]
                if connection_id == PASSED:
                    holds.passed[partition.key] = int(item["passed"]["N"])
                else:
                    after = int(item["after"]["N"]) if "after" in item else None
                    holds.of[connection_id] = Hold(partition.key, after, "closing" in item or "token" in item)
        return holds

    async def _items(self, partition: Partition) -> list[Item]:
        items: list[Item] = []
        async for page in partition.pages():
            self.requests += 1
            items += page
        return items

    async def _pass(self, partition: str, seq: int) -> None:
        """Let the replays of a partition know that batches up to `seq` are left to them."""
        answer = await self._update(
            partition,
            PASSED,
            "SET passed = :b, expires_at = :e",
            "attribute_not_exists(passed) OR passed < :b",
            {":b": {"N": str(seq)}, ":e": {"N": str(int(time.time()) + PASSED_SECONDS)}},
        )
        if answer.status != 200 and not _condition_failed(answer):  # a higher number is as good
            raise self._refused(answer)

    async def _decide(self, connection_id: str, partition: str, seq: int) -> int | None:
        """Leave batches up to `seq` to one replay unless it has released its hold. Return as `left_to_replay` does."""
        answer = await self._update(
            partition,
            connection_id,
            "SET seen = :b",
            "attribute_not_exists(#a) AND seen < :b",
            {":b": {"N": str(seq)}},
            {"#a": "after"},
        )
        if answer.status == 200:
            return None
        if not _condition_failed(answer):
            raise self._refused(answer)
        item = orjson.loads(answer.body).get("Item")
        if not item:  # the hold was removed, so fan-out delivers everything
            return 0
        return int(item["after"]["N"]) if "after" in item else None

    async def _update(
        self,
        partition: str,
        connection_id: str,
        expression: str,
        condition: str,
        values: Mapping[str, Mapping[str, str]],
        names: Mapping[str, str] | None = None,
    ) -> Response:
        self.requests += 1
        update: dict[str, object] = {
            "TableName": self._table,
            "Key": {"topic_shard": {"S": partition}, "connection_id": {"S": connection_id}},
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if names:
            update["ExpressionAttributeNames"] = names
        return await execute(self._client, "UpdateItem", update)

    def _refused(self, answer: Response) -> TableUnavailable:
        return TableUnavailable(f"{self._table} refused an update: {answer.body[:300].decode(errors='replace')}")


def _condition_failed(answer: Response) -> bool:
    return b"ConditionalCheckFailed" in answer.body
