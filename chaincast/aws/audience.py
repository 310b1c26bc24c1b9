"""Who listens: Query on the Subscriptions table, by the hot client, consistently.

A client that was told `subscribed` gets whatever is queued from then on: that takes consistent reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import uniform

import orjson

from chaincast.aws.call import ServiceClient
from chaincast.aws.http import HttpError
from chaincast.errors import ChaincastError
from chaincast.shards import partition

_HEADERS = (
    ("content-type", "application/x-amz-json-1.0"),
    ("x-amz-target", "DynamoDB_20120810.Query"),
)
_ATTEMPTS = 6
_RETRIABLE = ("ProvisionedThroughputExceeded", "ThrottlingException", "RequestLimitExceeded", "InternalServerError")


class AudienceUnavailable(ChaincastError):
    """The Subscriptions table cannot be read now; the batch must be tried again."""


class Audience:
    """Reads the subscribers of topics."""

    def __init__(self, client: ServiceClient, table: str) -> None:
        self._client = client
        self._table = table
        self.requests = 0
        """Queries made so far, the basis of the bill."""

    async def of(self, topics: Iterable[str], shard: int) -> dict[str, list[tuple[str, str]]]:
        """The (connection, dialect) pairs of each topic that has any. Raises `AudienceUnavailable`."""
        names = list(topics)
        members = await asyncio.gather(*(self._members(partition(topic, shard)) for topic in names))
        return {topic: found for topic, found in zip(names, members, strict=True) if found}

    async def _members(self, key: str) -> list[tuple[str, str]]:
        query: dict[str, object] = {
            "TableName": self._table,
            "KeyConditionExpression": "topic_shard = :k",
            "ExpressionAttributeValues": {":k": {"S": key}},
            "ProjectionExpression": "connection_id, dialect",
            "ConsistentRead": True,
        }
        found: list[tuple[str, str]] = []
        while True:
            page = await self._page(orjson.dumps(query))
            found += [(item["connection_id"]["S"], item["dialect"]["S"]) for item in page["Items"]]
            if not (last := page.get("LastEvaluatedKey")):
                return found
            query["ExclusiveStartKey"] = last

    async def _page(self, body: bytes) -> dict[str, list[dict[str, dict[str, str]]]]:
        reason = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(uniform(0.5, 1) * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
            self.requests += 1
            try:
                response = await self._client.post("/", body, extra=_HEADERS)
            except HttpError as error:
                reason = str(error)
                continue
            if response.status == 200:
                page: dict[str, list[dict[str, dict[str, str]]]] = orjson.loads(response.body)
                return page
            reason = f"HTTP {response.status}: {response.body[:300].decode(errors='replace')}"
            if response.status < 500 and not any(name in reason for name in _RETRIABLE):
                break
        raise AudienceUnavailable(f"Query on {self._table} failed: {reason}")
