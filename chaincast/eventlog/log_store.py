"""The event log: the append-only table of every source's batches, from which all other state can be derived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from chaincast.model.batches import Batch, EncodedBatch, decode_batch
from chaincast.model.cursors import CURSOR_DIGITS, format_cursor, parse_cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

    from chaincast.eventlog.checkpoint import ChainProgress, Checkpoint
    from chaincast.eventlog.lease import Lease


class LogReader:
    """Reads the event log."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def first(self, source: str) -> int | None:
        """Read the number of the oldest batch, or None if there is no batch."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="#s = :s",
            ExpressionAttributeNames={"#s": "source", "#c": "cursor"},
            ExpressionAttributeValues={":s": {"S": source}},
            ProjectionExpression="#c",
            ConsistentRead=True,
            Limit=1,
        )
        items = answer["Items"]
        return parse_cursor(items[0]["cursor"]["S"][:CURSOR_DIGITS]) if items else None

    def after(self, source: str, seq: int, page_size: int | None = None) -> Iterator[Batch]:
        """Yield the batches (parts) after number `seq` in order, read consistently, `page_size` at a time."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#s = :s AND #c >= :c",
            ExpressionAttributeNames={"#s": "source", "#c": "cursor"},
            ExpressionAttributeValues={":s": {"S": source}, ":c": {"S": format_cursor(seq + 1)}},
            ConsistentRead=True,
            PaginationConfig={"PageSize": page_size} if page_size else {},
        )
        for page in pages:
            for item in page["Items"]:
                yield decode_batch(bytes(item["batch"]["B"]))

    def backwards(self, source: str) -> Iterator[Batch]:
        """Yield all batches (parts), newest first, read consistently."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#s = :s",
            ExpressionAttributeNames={"#s": "source"},
            ExpressionAttributeValues={":s": {"S": source}},
            ConsistentRead=True,
            ScanIndexForward=False,
            PaginationConfig={"PageSize": 25},
        )
        for page in pages:
            for item in page["Items"]:
                yield decode_batch(bytes(item["batch"]["B"]))


class Log(LogReader):
    """Appends batches, too."""

    def __init__(self, client: DynamoDBClient, table: str, retention_seconds: int) -> None:
        super().__init__(client, table)
        self._retention_seconds = retention_seconds

    def append(
        self, parts: Sequence[EncodedBatch], lease: Lease, checkpoint: Checkpoint, progress: ChainProgress
    ) -> None:
        """Append the parts of a network's batch and save its checkpoint, in one transaction.

        Raise `LeaseLost` if the lease is lost, `CursorTaken` if the number is taken.
        """
        lease.commit([self.put_request(part) for part in parts], checkpoint, progress)

    def put_request(self, part: EncodedBatch) -> TransactWriteItemTypeDef:
        """Return the write that appends a part of a batch, on condition that its number is free.

        The item's expiry follows from the block's time, not from the clock, so that a repeat writes the same bytes.
        """
        batch = part.batch
        item: dict[str, AttributeValueTypeDef] = {
            "source": {"S": batch.source},
            "cursor": {"S": batch.sort_key},
            "batch": {"B": part.data},
            "expires_at": {"N": str(batch.timestamp // 1000 + self._retention_seconds)},
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(#c)",
                "ExpressionAttributeNames": {"#c": "cursor"},
            }
        }
