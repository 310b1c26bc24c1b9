"""Stored state of the market engine: opaque bytes, each with the block that they include."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zlib import crc32

from chaincast.aws.dynamodb_batch import PARALLEL, read_all

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


PARTITIONS = 16
"""Number of partitions per network: one takes 1,000 writes a second, and a snapshot has thousands of tokens."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A named piece of state. `expires_at` (s): when it may be deleted."""

    name: str
    block: int
    state: bytes
    expires_at: int | None = None


class MarketState:
    """The stored market state of one network."""

    def __init__(self, client: DynamoDBClient, table: str, network: str) -> None:
        self._client = client
        self._table = table
        self._network = network

    def get(self, names: Iterable[str]) -> dict[str, bytes]:
        """Read the entries with these names consistently. Raise `Unprocessed`."""
        items = read_all(self._client, self._table, [self._place(name) for name in names])
        return {item["sort"]["S"]: bytes(item["state"]["B"]) for item in items}

    def _place(self, name: str) -> dict[str, AttributeValueTypeDef]:
        partition = crc32(name.encode()) % PARTITIONS
        return {"key": {"S": f"market/{self._network}/{partition:02d}"}, "sort": {"S": name}}

    def put(self, entries: Iterable[Entry]) -> None:
        """Store entries in any order. An entry whose newer state is stored already is left unchanged.

        Therefore a listener that was paused and does not know yet that it lost its lease does no harm.
        """
        with ThreadPoolExecutor(PARALLEL, "market") as threads:
            for done in [threads.submit(self._put, entry) for entry in entries]:
                done.result()

    def _put(self, entry: Entry) -> None:
        expiry: Mapping[str, object] = {} if entry.expires_at is None else {"expires_at": {"N": str(entry.expires_at)}}
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.put_item(
                TableName=self._table,
                Item={
                    **self._place(entry.name),
                    "block": {"N": str(entry.block)},
                    "state": {"B": entry.state},
                    **expiry,  # type: ignore[dict-item]  # one more attribute
                },
                ConditionExpression="attribute_not_exists(#b) OR #b <= :b",
                ExpressionAttributeNames={"#b": "block"},
                ExpressionAttributeValues={":b": {"N": str(entry.block)}},
            )
