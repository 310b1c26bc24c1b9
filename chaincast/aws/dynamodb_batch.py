"""BatchWriteItem and BatchGetItem to the end: what DynamoDB left unprocessed again, with jitter; and deleting."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from random import uniform
from typing import TYPE_CHECKING

from chaincast.errors import ChaincastError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef

BATCH = 25
"""DynamoDB's limit for one BatchWriteItem."""

READS = 100
"""DynamoDB's limit for one BatchGetItem."""

PARALLEL = 4
"""Batches under way at once: each takes as long to make as to carry out; more would only wait for each other."""

SINGLY = 100
"""Items that are deleted one by one."""

_DELETING = 16
_ATTEMPTS = 8


class Unprocessed(ChaincastError):
    """DynamoDB kept refusing part of a batch; the caller's whole step must be tried again."""


def write_all(client: DynamoDBClient, table: str, requests: Sequence[WriteRequestTypeDef]) -> None:
    """Carry out all writes on one table, in any order. Raises `Unprocessed` when throttled for seconds."""
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
        answer = client.batch_write_item(RequestItems={table: left})
        left = list(answer.get("UnprocessedItems", {}).get(table, []))  # type: ignore[arg-type]  # same rows back
        if not left:
            break


def read_all(
    client: DynamoDBClient, table: str, keys: Sequence[Mapping[str, AttributeValueTypeDef]]
) -> Iterator[dict[str, AttributeValueTypeDef]]:
    """The items of one table that there are under these keys, in any order, read consistently. Raises `Unprocessed`."""
    for start in range(0, len(keys), READS):
        left = list(keys[start : start + READS])
        for _ in _attempts(f"reads of {table}"):
            answer = client.batch_get_item(RequestItems={table: {"Keys": left, "ConsistentRead": True}})
            yield from answer["Responses"].get(table, [])
            left = list(answer.get("UnprocessedKeys", {}).get(table, {"Keys": []})["Keys"])
            if not left:
                break


def take_all(
    client: DynamoDBClient, table: str, keys: Sequence[Mapping[str, AttributeValueTypeDef]]
) -> list[dict[str, AttributeValueTypeDef]]:
    """Delete the items under these keys; what was there.

    Up to `SINGLY`, each is told to one caller only, however many delete it at once. More are read and then deleted in
    batches, in a twentieth of the time; two who do that at the same moment may both be told. Raises `Unprocessed`.
    """
    if len(keys) > SINGLY:
        found = list(read_all(client, table, keys))
        write_all(client, table, [{"DeleteRequest": {"Key": key}} for key in keys])
        return found

    def take(key: Mapping[str, AttributeValueTypeDef]) -> dict[str, AttributeValueTypeDef]:
        return client.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD").get("Attributes", {})

    if len(keys) < 2:
        taken = [take(key) for key in keys]
    else:
        with ThreadPoolExecutor(min(_DELETING, len(keys)), "deletes") as threads:
            taken = list(threads.map(take, keys))
    return [item for item in taken if item]


def _attempts(what: str) -> Iterator[int]:
    """Numbers of attempts, with a pause that grows before each but the first. Raises `Unprocessed` at the end."""
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(uniform(0.5, 1) * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
        yield attempt
    raise Unprocessed(f"some {what} stayed unprocessed after {_ATTEMPTS} attempts")
