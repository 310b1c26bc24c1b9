"""Every connection there is: who hears of the topic `system`, without a row of a subscription each.

The Connections table is scanned, in segments side by side: some 300 bytes a connection, so a million cost about 75,000
read units (a cent) and a few seconds, for each shard; their posts cost a hundred times that. Announcements are rare.
"""

from __future__ import annotations

import asyncio

import orjson

from chaincast.aws.fast.dynamodb import Item, Page, TableUnavailable, call
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.model.sharding import Worker

TOPIC = "system"

SEGMENTS = 16
PAGE = 5_000


class Everyone:
    """One worker's connections, in the order of their ids, a page at a time. `known`: only those that have a user."""

    def __init__(self, client: ServiceClient, table: str, worker: Worker, *, known: bool) -> None:
        self._known = known
        self._client = client
        self._table = table
        self._worker = worker
        self._left: list[Item] | None = None
        self.done = False

    async def page(self) -> list[Item]:
        """The next ones; afterwards `done` says whether they were the last. Raises `TableUnavailable`."""
        if self._left is None:
            segments = await asyncio.gather(*(self._segment(number) for number in range(SEGMENTS)))
            self._left = sorted((item for items in segments for item in items), key=_id, reverse=True)
        page = [self._left.pop() for _ in range(min(PAGE, len(self._left)))]
        self.done = not self._left
        return page

    async def _segment(self, number: int) -> list[Item]:
        found: list[Item] = []
        scan: dict[str, object] = {
            "TableName": self._table,
            "ProjectionExpression": "connection_id, dialect",
            "ConsistentRead": True,
            "Segment": number,
            "TotalSegments": SEGMENTS,
        }
        if self._known:
            scan |= {"FilterExpression": "attribute_exists(#user)", "ExpressionAttributeNames": {"#user": "user"}}
        while True:
            response = await call(self._client, "Scan", scan)
            if response.status != 200:
                raise TableUnavailable(
                    f"Scan of connections was refused: HTTP {response.status}: {response.body[:300]!r}"
                )
            page: Page = orjson.loads(response.body)
            # Others' are let go at once: what is held is this worker's share.
            found += [item for item in page["Items"] if self._worker.serves(_id(item))]
            if "LastEvaluatedKey" not in page:
                return found
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _id(item: Item) -> str:
    return item["connection_id"]["S"]
