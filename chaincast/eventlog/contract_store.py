"""Stored contracts that adapters discovered on a network (markets, pairs, tokens), for use after a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from chaincast.aws.dynamodb_batch import write_all
from chaincast.model.discovered_contracts import Discovery

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef


class Contracts:
    """Stores one item per discovered contract and adapter."""

    def __init__(self, client: DynamoDBClient, table: str, network: str) -> None:
        self._client = client
        self._table = table
        self._key = f"contracts/{network}"

    def put(self, found: Iterable[Discovery]) -> None:
        """Store contracts. Repeating it changes nothing. Raise `Unprocessed`."""
        requests: list[WriteRequestTypeDef] = [
            {
                "PutRequest": {
                    "Item": {
                        "key": {"S": self._key},
                        "sort": {"S": f"{contract.adapter}/{contract.address}"},
                        "block": {"N": str(contract.block)},
                        "facts": {"M": {name: {"S": value} for name, value in contract.facts.items()}},
                    }
                }
            }
            for contract in found
        ]
        write_all(self._client, self._table, requests)

    def all(self) -> Iterator[Discovery]:
        """Yield all stored contracts, read consistently."""
        for item in self._items():
            adapter, _, address = item["sort"]["S"].rpartition("/")
            facts = {name: value["S"] for name, value in item["facts"]["M"].items()}
            yield Discovery(adapter, address, int(item["block"]["N"]), facts)

    def remove_behind(self, block: int) -> None:
        """Delete contracts that were discovered in blocks after this one. Raise `Unprocessed`."""
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
