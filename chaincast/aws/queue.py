"""The fan-out queue: a message per shard for each batch; the group keeps order, the deduplication id drops repeats."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import TYPE_CHECKING

from chaincast.batches import Batch, decode_batch, encode_batch
from chaincast.errors import CodecError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class FanoutQueue:
    """Sends batches to the fan-out workers.

    A part of a batch is at most 350 KB of JSON, so compressed and in base64 it always fits SQS's 1 MiB.
    """

    def __init__(self, client: SQSClient, url: str, shards: int) -> None:
        self._client = client
        self._url = url
        self._shards = shards

    def send(self, batch: Batch) -> None:
        """Hand one batch to every shard. Returns when SQS has them: the next batch may be sent then."""
        body = encode_body(batch)
        for shard in range(self._shards):
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=body,
                MessageGroupId=f"{batch.source}#{shard}",
                MessageDeduplicationId=f"{batch.source}:{batch.cursor}:{batch.part}:{shard}",
            )


def encode_body(batch: Batch) -> str:
    """The batch as a message body."""
    return b64encode(encode_batch(batch)).decode()


def decode_body(body: str) -> Batch:
    """The batch of a message body. Raises `CodecError`."""
    try:
        return decode_batch(b64decode(body, validate=True))
    except (Base64Error, ValueError) as error:
        raise CodecError(f"not a fan-out message: {error}") from error


def shard_of_group(group: str) -> int:
    """The shard of a message group `source#shard`. Raises `CodecError`."""
    shard = group.rpartition("#")[2]
    if not shard.isdecimal():
        raise CodecError(f"{group!r} is no message group of the fan-out queue; those are source#shard")
    return int(shard)
