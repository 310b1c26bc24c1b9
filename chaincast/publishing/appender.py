"""Appends to the event log of app sources, from any number of functions concurrently, and queues in the log's order.

A publisher that appends batch n claims the number in State in the same transaction. Before it queues n, it queues every
earlier batch that another publisher appended and has not queued. The queue drops repeats for five minutes, so that a
batch that is queued twice is delivered once.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from random import uniform
from typing import TYPE_CHECKING

from chaincast.aws.transactions import cancellation_reasons
from chaincast.errors import ChaincastError
from chaincast.eventlog.checkpoint import checkpoint_key, read_checkpoint
from chaincast.eventlog.log_store import Log
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.batches import Batch, EncodedBatch, encode_batch, encode_parts
from chaincast.model.sharding import ShardingState, decode_sharding

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef


_ATTEMPTS = 40
"""Attempts within about five seconds. In each, one of the concurrent publishers succeeds."""

_PAUSES = (0.01, 0.02, 0.04, 0.08, 0.16)
_REFUSED = "ConditionalCheckFailed"


class Repeated(ChaincastError):
    """The idempotency key is stored already: the request was executed before."""


class Busy(ChaincastError):
    """Other publishers appended first in every attempt; retry later."""


@dataclass(slots=True)
class _End:
    """End of a source's log, as far as this process knows: `seq` is appended, `queued` is queued."""

    seq: int
    queued: int
    sharding: ShardingState


class Appender:
    """Appends to app sources. Calls block; not thread-safe."""

    def __init__(self, client: DynamoDBClient, state: str, log: Log, queue: FanoutQueue, shards: int) -> None:
        self._client = client
        self._state = state
        self._log = log
        self._queue = queue
        self._shards = shards
        self._ends: dict[str, _End] = {}

    def append(self, drafts: Sequence[Batch], remember: TransactWriteItemTypeDef | None = None) -> dict[str, int]:
        """Append batches of different sources, all or none, and queue them. Return the number of each.

        `remember` is written in the same transaction. Raise `Repeated` if its condition fails, and `Busy`.
        """
        sources = [draft.source for draft in drafts]
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(uniform(0, 1) * _PAUSES[min(attempt, len(_PAUSES)) - 1])  # noqa: S311 - jitter, no secret
            ends = {source: self._ends.get(source) or self._read(source) for source in sources}
            numbers = {source: ends[source].seq + 1 for source in sources}
            parts = {draft.source: encode_parts(replace(draft, seq=numbers[draft.source])) for draft in drafts}
            if self._write(numbers, parts, remember):
                for source, seq in numbers.items():
                    ends[source].seq = seq
                    self._ends[source] = ends[source]
                    self._queue_up(source, parts[source])
                return numbers
            self._ends.clear()
        raise Busy(f"{', '.join(sources)}: others appended first, {_ATTEMPTS} times in a row")

    def requeue_missing(self, source: str) -> int:
        """Queue batches that a publisher appended and did not queue. Return their number."""
        end = self._ends[source] = self._read(source)
        left = end.seq - end.queued
        if left:
            self._queue_up(source, ())
        return left

    def _write(
        self,
        numbers: Mapping[str, int],
        parts: Mapping[str, Sequence[EncodedBatch]],
        remember: TransactWriteItemTypeDef | None,
    ) -> bool:
        """Write the batches. Return False if a number was taken meanwhile. Raise `Repeated`."""
        writes: list[TransactWriteItemTypeDef] = [] if remember is None else [remember]
        for source, seq in numbers.items():
            writes.append(self._take(source, seq))
            writes += [self._log.put_request(part) for part in parts[source]]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except self._client.exceptions.TransactionCanceledException as error:
            reasons = cancellation_reasons(error)
            if remember is not None and reasons and reasons[0] == _REFUSED:
                raise Repeated("the idempotency key was used before") from None
            if "ValidationError" in reasons:
                raise
            return False
        return True

    def _take(self, source: str, seq: int) -> TransactWriteItemTypeDef:
        free = "attribute_not_exists(seq)" if seq == 1 else "seq = :before"
        values: dict[str, AttributeValueTypeDef] = {":seq": {"N": str(seq)}, ":none": {"N": "0"}}
        if seq > 1:
            values[":before"] = {"N": str(seq - 1)}
        return {
            "Update": {
                "TableName": self._state,
                "Key": checkpoint_key(source),
                "UpdateExpression": "SET seq = :seq, queued = if_not_exists(queued, :none)",
                "ConditionExpression": free,
                "ExpressionAttributeValues": values,
            }
        }

    def _queue_up(self, source: str, newest: Sequence[EncodedBatch]) -> None:
        """Queue everything up to the end of the log. `newest`: the parts of the last batch, if they are at hand."""
        end = self._ends[source]
        before = newest[0].batch.seq - 1 if newest else end.seq
        if newest and end.queued < before:
            end.queued = max(end.queued, self._read(source).queued)  # another publisher may have queued them meanwhile
        if newest and end.queued >= before:
            parts = newest
        else:
            left = (part for part in self._log.after(source, end.queued) if part.seq <= end.seq)
            parts = [EncodedBatch(part, encode_batch(part)) for part in left]
        workers = end.sharding.assignments(time.time())
        for part in parts:
            self._queue.send(part, workers)
        self._mark(source, end.seq)
        end.queued = end.seq

    def _mark(self, source: str, seq: int) -> None:
        with suppress(self._client.exceptions.ConditionalCheckFailedException):  # another publisher has queued more
            self._client.update_item(
                TableName=self._state,
                Key=checkpoint_key(source),
                UpdateExpression="SET queued = :q",
                ConditionExpression="queued < :q",
                ExpressionAttributeValues={":q": {"N": str(seq)}},
            )

    def _read(self, source: str) -> _End:
        item = read_checkpoint(self._client, self._state, source)
        known = decode_sharding(item["sharding"]["S"]) if "sharding" in item else ShardingState(self._shards)
        sharding = known.resharded(self._shards, 0, time.time()).completed()
        if "sharding" not in item or sharding.encode() != item["sharding"]["S"]:
            self._remember(source, sharding)
        return _End(int(item.get("seq", {"N": "0"})["N"]), int(item.get("queued", {"N": "0"})["N"]), sharding)

    def _remember(self, source: str, sharding: ShardingState) -> None:
        """Save the sharding, so that rows under the previous shard count are found until their connections end."""
        self._client.update_item(
            TableName=self._state,
            Key=checkpoint_key(source),
            UpdateExpression="SET sharding = :s",
            ExpressionAttributeValues={":s": {"S": sharding.encode()}},
        )
