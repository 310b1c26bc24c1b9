"""Who listens: the subscribers of a plan's topics, in the order of their connection ids, a bounded number at a time.

A client that was told `subscribed` gets whatever is queued from then on: that takes consistent reads. Partitions are
sorted by connection id, so once every partition has been read up to some id, the views up to there are complete: they
go out while the rest is still being read, and a million subscribers need no more memory than a few pages of them.

Every connection there is: who hears of the topic `system`, without a row of a subscription each.

The Connections table is scanned, in segments side by side: some 300 bytes a connection, so a million cost about 75,000
read units (a cent) and a few seconds, for each shard; their posts cost a hundred times that. Announcements are rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson

from chaincast.aws.fast.dynamodb import Item, Page, Partition, TableUnavailable, call
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.fanout.plan import Plan, View, merged
from chaincast.model.sharding import ShardAssignment

_ATTRIBUTES = "connection_id, dialect, kinds"
_AHEAD = 4
"""Partitions that are read one page ahead."""


class SubscriberReader:
    """Reads the Subscriptions table, and for `system` the Connections table: every connection, or where one must have a
    user (`known`), those that have."""

    def __init__(self, client: ServiceClient, table: str, connections: str, *, known: bool = False) -> None:
        self._known = known
        self._client = client
        self._table = table
        self._connections = connections
        self.requests = 0
        """Queries made so far, the basis of the bill."""

    async def of(self, plan: Plan, worker: ShardAssignment) -> AsyncIterator[dict[str, View]]:
        """What each of the worker's connections sees of a plan, if anything; a round of connections after the other,
        each sorted by connection id and beyond the one before. Raises `TableUnavailable`."""
        readers = [
            _Reader(Partition(self._client, self._table, key, _ATTRIBUTES), plan, topic, worker if shared else None)
            for topic in plan.topics
            for key, shared in worker.partitions(topic)
        ]
        if TOPIC in plan.topics:
            readers.append(
                _Reader(
                    ConnectionScan(self._client, self._connections, worker, known=self._known),
                    plan,
                    TOPIC,
                    None,
                )
            )
        views: dict[str, View] = {}
        behind = readers
        try:
            while behind:
                await asyncio.gather(*(reader.fetch() for reader in behind))
                self.requests += len(behind)
                for reader in behind:
                    reader.merge_into(views)
                open_readers = sorted((r for r in readers if not r.done), key=lambda r: r.last)
                if not open_readers:
                    break
                frontier = open_readers[0].last
                behind = [reader for reader in open_readers if reader.last == frontier]
                for reader in open_readers[:_AHEAD]:
                    reader.fetch()
                ready = sorted(c for c in views if c <= frontier)
                yield {connection: views.pop(connection) for connection in ready}
            yield {connection: views[connection] for connection in sorted(views)}
        finally:
            for reader in readers:
                reader.cancel()


class _Reader:
    """One partition's rows, as views of the plan."""

    def __init__(
        self, partition: Partition | ConnectionScan, plan: Plan, topic: str, worker: ShardAssignment | None
    ) -> None:
        self._partition = partition
        self._plan = plan
        self._mask = plan.topics[topic]
        self._worker = worker
        self._fetching: asyncio.Task[list[Item]] | None = None
        self._of_dialect: dict[str, View] = {}
        self.last = ""
        """The last connection id read."""
        self.done = False

    def fetch(self) -> asyncio.Task[list[Item]]:
        """Begin to read the next page, unless that is under way."""
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._partition.page())
        return self._fetching

    def merge_into(self, views: dict[str, View]) -> None:
        """Add the page that was fetched."""
        assert self._fetching is not None
        items = self._fetching.result()
        self._fetching = None
        self.done = self._partition.done
        of_dialect = self._of_dialect
        for item in items:
            connection = item["connection_id"]["S"]
            if self._worker is not None and not self._worker.serves(connection):
                continue
            name = item["dialect"]["S"]
            if len(item) == 2:
                # One tuple for all of a page: what a connection costs is its place in the dictionary.
                view = of_dialect.get(name) or of_dialect.setdefault(name, ((name, self._mask),))
            else:
                mask = self._mask & self._plan.of_kinds(frozenset(item["kinds"]["SS"]))
                if not mask:
                    continue
                view = ((name, mask),)
            seen = views.get(connection)
            views[connection] = view if seen is None else merged(seen, view)
        if items:
            self.last = items[-1]["connection_id"]["S"]

    def cancel(self) -> None:
        if self._fetching is not None and not self._fetching.cancel():
            self._fetching.exception()  # known already: another partition's is what is being raised


TOPIC = "system"

SEGMENTS = 16
PAGE = 5_000


class ConnectionScan:
    """One worker's connections, in the order of their ids, a page at a time. `known`: only those that have a user."""

    def __init__(self, client: ServiceClient, table: str, worker: ShardAssignment, *, known: bool) -> None:
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
