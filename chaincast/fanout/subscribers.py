"""Reads the subscribers of a plan's topics, in the order of their connection ids, in bounded memory.

Reads are consistent, so that a client which has received `subscribed` receives every batch queued after it. Partitions
are sorted by connection id. Once every partition has been read up to some id, the views up to it are complete and are
delivered while the rest is still being read. A million subscribers need no more memory than a few pages.

The topic `system` has no subscription rows: all connections receive it. The Connections table is scanned in parallel
segments for it. At about 300 bytes per connection, a million connections cost about 75,000 read units (one cent) and a
few seconds per shard. Their posts cost a hundred times as much, and announcements are rare.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson

from chaincast.aws.fast.dynamodb import Item, Page, Partition, TableUnavailable, execute
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.fanout.plan import Plan, View, merged
from chaincast.model.sharding import ShardAssignment

_ATTRIBUTES = "connection_id, dialect, kinds"
_AHEAD = 4
"""Number of partitions that are read one page ahead."""


class SubscriberReader:
    """Reads the Subscriptions table, and the Connections table for the topic `system`.

    `known`: True if only connections with an authenticated user receive `system`.
    """

    def __init__(self, client: ServiceClient, table: str, connections: str, *, known: bool = False) -> None:
        self._known = known
        self._client = client
        self._table = table
        self._connections = connections
        self.requests = 0
        """Number of queries so far, which determines the cost."""

    async def pages(self, plan: Plan, worker: ShardAssignment) -> AsyncIterator[dict[str, View]]:
        """Yield the views of the shard's connections, in rounds of ascending connection ids.

        Connections that see nothing of the plan are left out. Raise `TableUnavailable` on failure.
        """
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
    """Reads the rows of one partition as views of the plan."""

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
        """Begin to read the next page, unless that is in progress."""
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._partition.page())
        return self._fetching

    def merge_into(self, views: dict[str, View]) -> None:
        """Add the fetched page to the views."""
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
            if "kinds" not in item:
                # All connections share one tuple, so that each costs only its entry in the dictionary.
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
        """Stop reading."""
        if self._fetching is not None and not self._fetching.cancel():
            self._fetching.exception()  # marks the exception as retrieved; another reader's is raised


TOPIC = "system"
"""The topic of announcements, which every connection receives without a subscription."""

SEGMENTS = 16
PAGE = 5_000


class ConnectionScan:
    """Reads the connections of one shard in the order of their ids. `known`: only those with a user."""

    def __init__(self, client: ServiceClient, table: str, worker: ShardAssignment, *, known: bool) -> None:
        self._known = known
        self._client = client
        self._table = table
        self._worker = worker
        self._left: list[Item] | None = None
        self.done = False

    async def page(self) -> list[Item]:
        """Return the next connections, and set `done` after the last. Raise `TableUnavailable` on failure."""
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
            response = await execute(self._client, "Scan", scan)
            if response.status != 200:
                raise TableUnavailable(
                    f"Scan of connections was refused: HTTP {response.status}: {response.body[:300]!r}"
                )
            page: Page = orjson.loads(response.body)
            # Only this shard's connections are kept in memory.
            found += [item for item in page["Items"] if self._worker.serves(_id(item))]
            if "LastEvaluatedKey" not in page:
                return found
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _id(item: Item) -> str:
    return item["connection_id"]["S"]
