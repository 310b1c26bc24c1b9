"""Archiving: copies the batches beyond a mark from the event log to S3, file by file, and moves the mark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaincast.errors import ChaincastError
from chaincast.eventlog import archive_format
from chaincast.eventlog.log_store import LogReader
from chaincast.model.batches import Batch

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from mypy_boto3_s3 import S3Client

MAX_EVENTS = 50_000
"""Maximum number of events per file: about 25 MB of JSON."""


class Overtaken(ChaincastError):
    """Another invocation is archiving the same source."""


class Archiver:
    """Archives sources. Calls block."""

    def __init__(self, client: DynamoDBClient, state: str, log: LogReader, s3: S3Client, bucket: str) -> None:
        self._client = client
        self._state = state
        self._log = log
        self._s3 = s3
        self._bucket = bucket

    def archive(self, source: str) -> int:
        """Archive new batches of a source. Return the number of batches (parts). Raise `Overtaken`."""
        mark, archived = self._mark(source), 0
        for stretch in _stretches(self._log.after(source, mark)):
            self._s3.put_object(
                Bucket=self._bucket, Key=archive_format.name_of(stretch), Body=archive_format.encode(stretch)
            )
            self._move(source, mark, stretch[-1].seq)
            mark = stretch[-1].seq
            archived += len(stretch)
        return archived

    def _mark(self, source: str) -> int:
        item = self._client.get_item(TableName=self._state, Key=_key(source), ConsistentRead=True).get("Item", {})
        return int(item["seq"]["N"]) if "seq" in item else 0

    def _move(self, source: str, before: int, seq: int) -> None:
        try:
            self._client.update_item(
                TableName=self._state,
                Key=_key(source),
                UpdateExpression="SET seq = :s",
                ConditionExpression="attribute_not_exists(seq) OR seq = :before",
                ExpressionAttributeValues={":s": {"N": str(seq)}, ":before": {"N": str(before)}},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise Overtaken(f"{source}: another invocation archived it meanwhile") from None


def _stretches(batches: Iterator[Batch]) -> Iterator[list[Batch]]:
    """Yield runs of consecutive batches with all their parts, up to a number of events."""
    stretch: list[Batch] = []
    events = 0
    for batch in batches:
        if events >= MAX_EVENTS and batch.part == 0:
            yield stretch
            stretch, events = [], 0
        stretch.append(batch)
        events += len(batch.events) + len(batch.retracted)
    if stretch:
        yield stretch


def _key(source: str) -> dict[str, AttributeValueTypeDef]:
    return {"key": {"S": f"archive/{source}"}, "sort": {"S": "mark"}}
