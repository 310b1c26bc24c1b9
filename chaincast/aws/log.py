"""The Log table: a source's batches by cursor, append-only; the truth that everything else follows from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chaincast.batches import Batch, decode_batch, encode_batch
from chaincast.cursors import format_cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef


class Log:
    """Reads the Log, and makes the write of one item, which the State table carries out together with its own."""

    def __init__(self, client: DynamoDBClient, table: str, retention_seconds: int) -> None:
        self._client = client
        self._table = table
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

    def after(self, source: str, seq: int) -> Iterator[Batch]:
        """The batches (parts) behind number `seq`, in order, read consistently."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#s = :s AND #c >= :c",
            ExpressionAttributeNames={"#s": "source", "#c": "cursor"},
            ExpressionAttributeValues={":s": {"S": source}, ":c": {"S": format_cursor(seq + 1)}},
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                yield decode_batch(bytes(item["batch"]["B"]))
