"""Delivers batches: reads the subscribers, plans their messages and posts them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from chaincast.aws.fast.dynamodb import TableUnavailable
from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.aws.fast.poster import ConnectionPoster, PostBatch
from chaincast.aws.fast.service_client import Payload
from chaincast.fanout.holds_reader import Hold, HoldReader
from chaincast.fanout.plan import Plan, View, limited
from chaincast.fanout.progress import DeliveredUpTo, DeliveryProgress
from chaincast.fanout.subscribers import SubscriberReader
from chaincast.model.batches import Batch
from chaincast.model.sharding import ShardAssignment
from chaincast.protocol.dialects.base import Chains

_MAX_VIEWS = 256
"""Maximum number of distinct views whose messages are kept while they are posted. Others are encoded again."""


@dataclass(slots=True)
class Report:
    """The result of the delivery of some batches to one shard.

    `ms`: milliseconds per step: `query` (until the first subscribers are known), `plan` (with encoding) and `post` (the
    remaining time).
    """

    outcomes: Outcomes = field(default_factory=Outcomes)
    error: str = ""
    """The reason why the delivery ended early, or empty."""
    delivered_up_to: DeliveredUpTo | None = None
    """The progress of the attempt if the batches must be retried. None: every connection has them."""
    queries: int = 0
    deliveries: int = 0
    held: int = 0
    """Number of connections that are left to replay."""
    topics: tuple[str, ...] = ()
    """Topics under which rows of closed connections may be stored."""
    ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("query", "plan", "post"), 0.0))


class Deliverer:
    """Delivers batches to the subscribers of a shard. Deliveries of several sources may run at once, one task each."""

    def __init__(
        self,
        subscribers: SubscriberReader,
        holds: HoldReader,
        poster: ConnectionPoster,
        max_bytes: int,
        chains: Chains,
    ) -> None:
        self._subscribers = subscribers
        self._chains = chains
        self._holds = holds
        self._poster = poster
        self._max_bytes = max_bytes

    async def deliver(
        self, batches: Sequence[Batch], assignment: ShardAssignment, progress: DeliveryProgress, seconds: float | None
    ) -> Report:
        """Deliver consecutive batches, as one, to the shard's subscribers, and begin nothing after `seconds`.

        The report names the connections that miss messages, and the cause.
        """
        started = perf_counter()
        queries = self._subscribers.requests + self._holds.requests
        report = Report()
        plan = Plan(batches, self._max_bytes, self._chains)
        report.topics = tuple(plan.topics)
        run = _Run(plan, batches[-1], progress, self._poster.begin(seconds), self._holds, report)
        report.ms["plan"] += (perf_counter() - started) * 1000
        try:
            async for views in self._subscribers.pages(plan, assignment):
                # Holds are read after the rows: a hold is written before its connection's rows, so none is missed.
                holds = await self._holds.read(plan.source, assignment) if views else {}
                if not report.ms["query"]:
                    report.ms["query"] = (perf_counter() - started) * 1000
                if not await run.offer(await run.without_held(views, holds)):
                    report.error = "time was up, or too many posts failed"
                    break
        except TableUnavailable as error:
            report.error = str(error)
        report.outcomes = await run.posting.drain()
        if report.error or report.outcomes.deferred:
            report.delivered_up_to = run.delivered_up_to(assignment, run.last if report.error else None)
            report.error = report.error or f"{len(report.outcomes.deferred)} connections could not be reached"
        report.queries = self._subscribers.requests + self._holds.requests - queries
        report.ms["post"] = (perf_counter() - started) * 1000 - report.ms["query"] - report.ms["plan"]
        return report


class _Run:
    """A delivery in progress."""

    def __init__(
        self, plan: Plan, end: Batch, progress: DeliveryProgress, posting: PostBatch, holds: HoldReader, report: Report
    ) -> None:
        self.posting = posting
        self.last = ""
        """Id of the last connection whose messages were submitted."""
        self._plan = plan
        self._end = (end.seq, end.part)
        self._progress = progress
        self._holds = holds
        self._report = report
        self._payloads: dict[View, list[Payload]] = {}

    async def without_held(self, views: dict[str, View], holds: Mapping[str, Hold]) -> dict[str, View]:
        """Return the views without the items that replay delivers or that earlier attempts have delivered."""
        if holds:
            held = [connection for connection in views if connection in holds]
            passed = await asyncio.gather(*(self._holds.defer_to_replay(c, holds[c], self._end[0]) for c in held))
            for connection, after in zip(held, passed, strict=True):
                self._report.held += after is None
                self._limit(views, connection, 0 if after is None else self._plan.mask_after(after, _ANY_PART))
        if self._progress:
            for connection in list(views):
                through = self._progress.last_delivered(connection)
                if through is not None:
                    self._limit(views, connection, self._plan.mask_after(*through))
        return views

    def _limit(self, views: dict[str, View], connection: str, mask: int) -> None:
        left = limited(views.pop(connection), mask)
        if left:
            views[connection] = left

    async def offer(self, views: Mapping[str, View]) -> bool:
        """Post to each connection the messages of its view. Return False if the batch of posts ended early."""
        posting, payloads = self.posting, self._payloads
        for connection in sorted(views):
            view = views[connection]
            messages = payloads.get(view)
            if messages is None:
                messages = self._encode(view)
            if messages:
                if posting.full:
                    await posting.wait_for_capacity()
                if posting.stopped:
                    return False
                posting.submit(connection, messages)
                self._report.deliveries += 1
            self.last = connection
        return True

    def _encode(self, view: View) -> list[Payload]:
        started = perf_counter()
        if len(self._payloads) >= _MAX_VIEWS:
            self._payloads.clear()
        made = self._payloads[view] = [Payload(body) for body in self._plan.messages(view)]
        self._report.ms["plan"] += (perf_counter() - started) * 1000
        return made

    def delivered_up_to(self, assignment: ShardAssignment, upto: str | None) -> DeliveredUpTo:
        """Return the progress of this attempt."""
        return DeliveredUpTo(
            self._end, upto, frozenset(self._report.outcomes.deferred), assignment.shards, assignment.shard
        )


_ANY_PART = 1 << 30
"""A part number beyond all parts, so that `mask_after` leaves out the whole batch."""
