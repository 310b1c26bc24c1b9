"""Contracts that adapters discovered on a network (a factory's markets), kept in State so that a restart knows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from chaincast.aws.writes import write_all

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef


class Contracts:
    """One item per discovered contract: its address and what the adapter must know of it, as text attributes."""

    def __init__(self, client: DynamoDBClient, table: str, network: str) -> None:
        self._client = client
        self._table = table
        self._key = f"contracts/{network}"

    def put(self, found: Iterable[tuple[str, int, Mapping[str, str]]]) -> None:
        """Record (address, block it was found in, facts). Repeating it changes nothing. Raises `Unprocessed`."""
        requests: list[WriteRequestTypeDef] = [
            {
                "PutRequest": {
                    "Item": {
                        "key": {"S": self._key},
                        "sort": {"S": address},
                        "block": {"N": str(block)},
                        "facts": {"M": {name: {"S": value} for name, value in facts.items()}},
                    }
                }
            }
            for address, block, facts in found
        ]
        write_all(self._client, self._table, requests)

    def all(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Every (address, facts) on record, read consistently."""
        for item in self._items():
            yield item["sort"]["S"], {name: value["S"] for name, value in item["facts"]["M"].items()}

    def remove_behind(self, block: int) -> None:
        """Delete those that were found in blocks behind this one. Raises `Unprocessed`."""
        requests: list[WriteRequestTypeDef] = [
            {"DeleteRequest": {"Key": {"key": item["key"], "sort": item["sort"]}}}
            for item in self._items()
            if int(item["block"]["N"]) > block
        ]
        write_all(self._client, self._table, requests)

    def _items(self) -> Iterator[dict[str, AttributeValueTypeDef]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="#k = :k",
            ExpressionAttributeNames={"#k": "key"},
            ExpressionAttributeValues={":k": {"S": self._key}},
            ConsistentRead=True,
        )
        for page in pages:
            yield from page["Items"]
