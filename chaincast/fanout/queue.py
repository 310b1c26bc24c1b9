"""The fan-out queue: a message per shard for each batch; the group keeps order, the deduplication id drops repeats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chaincast.fanout.messages import Close, Deliver, Open, Work, encode_work, group_of
from chaincast.model.batches import Batch, encode_batch
from chaincast.model.cursors import format_cursor
from chaincast.model.sharding import Worker

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class FanoutQueue:
    """Sends work to the fan-out.

    A part of a batch is at most 350 KB of JSON, so compressed and in base64 it always fits SQS's 1 MiB.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, batch: Batch, workers: Iterable[Worker]) -> None:
        """Hand one batch to every worker. Returns when SQS has them: the next batch may be sent then."""
        encoded = encode_batch(batch)
        for worker in workers:
            body = encode_work(Deliver(worker, batch), encoded)
            self._put(body, batch.source, worker, f"{batch.source}:{batch.cursor}:{batch.part}:{worker.shard}")

    def send_switch(self, source: str, seq: int, former: Iterable[Worker], workers: Iterable[Worker]) -> None:
        """Tell the former workers that they get nothing behind batch `seq`, and the new ones to wait for them."""
        was = list(former)
        work: list[Work] = [Close(worker, source, seq) for worker in was]
        work += [Open(worker, source, seq, len(was)) for worker in workers]
        for item in work:
            worker = item.worker
            name = f"{type(item).__name__.lower()}:{worker.shards}.{worker.shard}"
            self._put(encode_work(item), source, worker, f"{source}:{format_cursor(seq)}:{name}")

    def _put(self, body: str, source: str, worker: Worker, deduplication_id: str) -> None:
        self._client.send_message(
            QueueUrl=self._url,
            MessageBody=body,
            MessageGroupId=group_of(source, worker.shard),
            MessageDeduplicationId=deduplication_id,
        )
