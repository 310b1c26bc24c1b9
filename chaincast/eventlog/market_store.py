"""What the market engine keeps in State for its next life: opaque bytes, each with the block it is the state of."""

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
"""Of a network: one takes 1,000 writes a second, and thousands of tokens are kept in one go."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something to keep under a name. `expires_at` (s): when nobody needs it any more."""

    name: str
    block: int
    state: bytes
    expires_at: int | None = None


class MarketState:
    """One network's."""

    def __init__(self, client: DynamoDBClient, table: str, network: str) -> None:
        self._client = client
        self._table = table
        self._network = network

    def get(self, names: Iterable[str]) -> dict[str, bytes]:
        """What there is under these names, read consistently. Raises `Unprocessed`."""
        items = read_all(self._client, self._table, [self._place(name) for name in names])
        return {item["sort"]["S"]: bytes(item["state"]["B"]) for item in items}

    def _place(self, name: str) -> dict[str, AttributeValueTypeDef]:
        partition = crc32(name.encode()) % PARTITIONS
        return {"key": {"S": f"market/{self._network}/{partition:02d}"}, "sort": {"S": name}}

    def put(self, entries: Iterable[Entry]) -> None:
        """Keep entries, in any order; one whose newer state is there already is left as it is.

        A listener that was paused, and has lost its lease without knowing yet, can so do no harm.
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
