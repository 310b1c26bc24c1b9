"""DynamoDB operations with the asynchronous client: retried when throttled, parsed by orjson."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import uniform
from typing import TypeAlias, TypedDict

import orjson

from chaincast.aws.fast.connection import HttpError
from chaincast.aws.fast.service_client import Response, ServiceClient
from chaincast.errors import ChaincastError


class Attribute(TypedDict, total=False):
    """A value in DynamoDB's JSON."""

    S: str
    N: str
    SS: list[str]


Item: TypeAlias = dict[str, Attribute]

CONTENT_TYPE = ("content-type", "application/x-amz-json-1.0")
_ATTEMPTS = 6
_RETRIABLE = (
    b"ProvisionedThroughputExceeded",
    b"ThrottlingException",
    b"RequestLimitExceeded",
    b"InternalServerError",
    b"TransactionConflict",
)


class TableUnavailable(ChaincastError):
    """A table cannot be read or written now. The operation that needs it must be tried again."""


class Page(TypedDict, total=False):
    """The response to a Query or a Scan."""

    Items: list[Item]
    LastEvaluatedKey: Item


def headers(operation: str) -> tuple[tuple[str, str], ...]:
    """Return the headers of an operation."""
    return (CONTENT_TYPE, ("x-amz-target", f"DynamoDB_20120810.{operation}"))


async def execute(client: ServiceClient, operation: str, document: dict[str, object]) -> Response:
    """Return the response to an operation: status 200, or an error for which a retry is of no use.

    Raise `TableUnavailable` if all attempts failed.
    """
    body = orjson.dumps(document)
    reason = ""
    for attempt in range(_ATTEMPTS):
        if attempt:
            await asyncio.sleep(uniform(0.5, 1) * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
        try:
            response = await client.post("/", body, headers(operation))
        except HttpError as error:
            reason = str(error)
            continue
        if response.status < 500 and not (response.status == 400 and any(n in response.body for n in _RETRIABLE)):
            return response
        reason = _shown(response)
    raise TableUnavailable(f"{operation} on {document.get('TableName')} failed: {reason}")


class Partition:
    """Reads one partition of the Subscriptions table page by page, consistently."""

    def __init__(
        self, client: ServiceClient, table: str, key: str, attributes: str, names: dict[str, str] | None = None
    ) -> None:
        self._client = client
        self.key = key
        self.done = False
        self._query: dict[str, object] = {
            "TableName": table,
            "KeyConditionExpression": "topic_shard = :k",
            "ExpressionAttributeValues": {":k": {"S": key}},
            "ProjectionExpression": attributes,
            "ConsistentRead": True,
        }
        if names:
            self._query["ExpressionAttributeNames"] = names

    async def page(self) -> list[Item]:
        """Return the items of the next page, and set `done` after the last. Raise `TableUnavailable` on failure."""
        response = await execute(self._client, "Query", self._query)
        if response.status != 200:
            raise TableUnavailable(f"Query of {self.key} was refused: {_shown(response)}")
        page: Page = orjson.loads(response.body)
        last = page.get("LastEvaluatedKey")
        self.done = last is None
        self._query["ExclusiveStartKey"] = last
        return page["Items"]

    async def pages(self) -> AsyncIterator[list[Item]]:
        """Yield the items of each page."""
        while not self.done:
            yield await self.page()


def _shown(response: Response) -> str:
    return f"HTTP {response.status}: {response.body[:300].decode(errors='replace')}"
