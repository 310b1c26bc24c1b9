"""The Log table: a source's batches by cursor, append-only; the truth that everything else follows from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaincast.model.batches import Batch, decode_batch, encode_batch
from chaincast.model.cursors import CURSOR_DIGITS, format_cursor, parse_cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef


class LogReader:
    """Reads the Log."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def first(self, source: str) -> int | None:
        """The number of the oldest batch there is; None if there is none."""
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
        """The batches (parts) behind number `seq`, in order, read consistently, `page_size` at a time."""
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
        """All batches (parts), the newest first, read consistently."""
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
    """Makes the write of one item, too, which the State table carries out together with its own."""

    def __init__(self, client: DynamoDBClient, table: str, retention_seconds: int) -> None:
        super().__init__(client, table)
        self._retention = retention_seconds

    def append(self, batch: Batch) -> TransactWriteItemTypeDef:
        """The write that appends the batch, on condition that its number is free.

        Its expiry follows from the block's time, not from the clock: a repeat writes the same bytes.
        """
        item: dict[str, AttributeValueTypeDef] = {
            "source": {"S": batch.source},
            "cursor": {"S": batch.sort_key},
            "batch": {"B": encode_batch(batch)},
            "expires_at": {"N": str(batch.timestamp // 1000 + self._retention)},
        }
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(#c)",
                "ExpressionAttributeNames": {"#c": "cursor"},
            }
        }
