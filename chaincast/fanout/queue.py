"""The fan-out queue: one message per shard for each batch, in order within a message group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chaincast.fanout.keys import batch_deduplication_id, message_group, resharding_deduplication_id
from chaincast.fanout.messages import AwaitDrained, DeliverBatch, ShardDrained, encode_message
from chaincast.model.batches import EncodedBatch
from chaincast.model.sharding import ShardAssignment

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class FanoutQueue:
    """Sends messages to fan-out.

    A part of a batch has at most 350 KB of JSON. Compressed and in base64 it always fits into the 1 MiB of SQS.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, part: EncodedBatch, assignments: Iterable[ShardAssignment]) -> None:
        """Send a batch (part) to each shard. On return SQS has stored it, and the next may be sent."""
        batch = part.batch
        for assignment in assignments:
            body = encode_message(DeliverBatch(assignment, batch), part.data)
            self._put(body, batch.source, assignment, batch_deduplication_id(batch, assignment.shard))

    def send_resharding(
        self, source: str, seq: int, previous: Iterable[ShardAssignment], assignments: Iterable[ShardAssignment]
    ) -> None:
        """End the previous shards' groups after batch `seq`, and let the groups of the new shards wait for them."""
        drained = list(previous)
        for assignment in drained:
            body = encode_message(ShardDrained(assignment, source, seq))
            self._put(body, source, assignment, resharding_deduplication_id(source, seq, "close", assignment))
        for assignment in assignments:
            body = encode_message(AwaitDrained(assignment, source, seq, len(drained)))
            self._put(body, source, assignment, resharding_deduplication_id(source, seq, "open", assignment))

    def _put(self, body: str, source: str, assignment: ShardAssignment, deduplication_id: str) -> None:
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageGroupId=message_group(source, assignment.shard),
            MessageDeduplicationId=deduplication_id,
        )
