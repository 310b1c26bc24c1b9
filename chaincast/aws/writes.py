"""BatchWriteItem to the end: 25 at a time, what DynamoDB left unprocessed again with jitter."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import uniform
from typing import TYPE_CHECKING

from chaincast.errors import ChaincastError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

BATCH = 25
"""DynamoDB's limit for one BatchWriteItem."""

_ATTEMPTS = 8


class WritesUnprocessed(ChaincastError):
    """DynamoDB kept refusing part of a batch write; the caller's whole step must be tried again."""


def write_all(client: DynamoDBClient, table: str, requests: Sequence[WriteRequestTypeDef]) -> None:
    """Carry out all writes on one table, in any order. Raises `WritesUnprocessed` when throttled for seconds."""
    for start in range(0, len(requests), BATCH):
        left = list(requests[start : start + BATCH])
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(uniform(0.5, 1) * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
            answer = client.batch_write_item(RequestItems={table: left})
            left = list(answer.get("UnprocessedItems", {}).get(table, []))  # type: ignore[arg-type]  # same rows back
            if not left:
                break
        else:
            raise WritesUnprocessed(f"{len(left)} writes on {table} stayed unprocessed after {_ATTEMPTS} attempts")
