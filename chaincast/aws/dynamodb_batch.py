"""Batches of DynamoDB reads, writes and deletions. Unprocessed items are retried with jitter."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import uniform
from typing import TYPE_CHECKING

from chaincast.aws.transactions import retry_conflicts
from chaincast.errors import ChaincastError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef

BATCH = 25
"""DynamoDB's maximum number of writes in one BatchWriteItem."""

READS = 100
"""DynamoDB's maximum number of keys in one BatchGetItem."""

PARALLEL = 4
"""Maximum number of batches in progress. Preparing a batch takes as long as its request, so more would only wait."""

SINGLY = 100
"""Maximum number of items that are deleted with one request each."""

_DELETING = 16
_ATTEMPTS = 8


class Unprocessed(ChaincastError):
    """DynamoDB refused part of a batch in every attempt. The caller must repeat its whole step."""


def write_all(client: DynamoDBClient, table: str, requests: Sequence[WriteRequestTypeDef]) -> None:
    """Carry out all writes on one table, in any order. Raise `Unprocessed` if DynamoDB throttles for seconds."""
    batches = [requests[start : start + BATCH] for start in range(0, len(requests), BATCH)]
    if len(batches) < 2:
        for batch in batches:
            _write(client, table, batch)
        return
    with ThreadPoolExecutor(min(PARALLEL, len(batches)), "writes") as threads:
        for done in [threads.submit(_write, client, table, batch) for batch in batches]:
            done.result()


def _write(client: DynamoDBClient, table: str, requests: Sequence[WriteRequestTypeDef]) -> None:
    left = list(requests)
    for _ in _attempts(f"writes on {table}"):
        response = client.batch_write_item(RequestItems={table: left})
        left = list(response.get("UnprocessedItems", {}).get(table, []))  # type: ignore[arg-type]  # same rows back
        if not left:
            break


def read_all(
    client: DynamoDBClient, table: str, keys: Sequence[Mapping[str, AttributeValueTypeDef]]
) -> Iterator[dict[str, AttributeValueTypeDef]]:
    """Yield the items of one table that exist under these keys, in any order.

    Reads are consistent. Raise `Unprocessed` if DynamoDB throttles for seconds.
    """
    for start in range(0, len(keys), READS):
        left = list(keys[start : start + READS])
        for _ in _attempts(f"reads of {table}"):
            response = client.batch_get_item(RequestItems={table: {"Keys": left, "ConsistentRead": True}})
            yield from response["Responses"].get(table, [])
            left = list(response.get("UnprocessedKeys", {}).get(table, {"Keys": []})["Keys"])
            if not left:
                break


def delete_returning_old(
    client: DynamoDBClient, table: str, keys: Sequence[Mapping[str, AttributeValueTypeDef]]
) -> list[dict[str, AttributeValueTypeDef]]:
    """Delete the items under these keys and return those that existed.

    With up to `SINGLY` keys, each deleted item is returned to one caller only, even if several delete it at the same
    time. More items are read first and then deleted in batches, which takes a twentieth of the time; two callers that
    do this at the same time may both receive an item. Raise `Unprocessed` if DynamoDB throttles for seconds.
    """
    if len(keys) > SINGLY:
        items = list(read_all(client, table, keys))
        write_all(client, table, [{"DeleteRequest": {"Key": key}} for key in keys])
        return items

    def delete(key: Mapping[str, AttributeValueTypeDef]) -> dict[str, AttributeValueTypeDef]:
        answer = retry_conflicts(lambda: client.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD"))
        return answer.get("Attributes", {})

    if len(keys) < 2:
        deleted = [delete(key) for key in keys]
    else:
        with ThreadPoolExecutor(min(_DELETING, len(keys)), "deletes") as threads:
            deleted = list(threads.map(delete, keys))
    return [item for item in deleted if item]


def _attempts(what: str) -> Iterator[int]:
    """Yield the numbers of attempts, with a growing pause between them. Raise `Unprocessed` after the last."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(uniform(0.5, 1) * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
        yield attempt
    raise Unprocessed(f"some {what} stayed unprocessed after {_ATTEMPTS} attempts")
