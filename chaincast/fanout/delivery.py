"""Delivers batches: reads the subscribers, plans their messages and posts them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from chaincast.aws.fast.dynamodb import TableUnavailable
from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.aws.fast.poster import ConnectionPoster, PostBatch
from chaincast.aws.fast.service_client import Payload
from chaincast.fanout.handover import Stalled
from chaincast.fanout.holds_reader import HoldReader
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
    handed_over: int = 0
    """Number of connections that do not read, whose replays have begun."""
    topics: tuple[str, ...] = ()
    """Topics under which rows of closed connections may be stored."""
    ms: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("query", "plan", "post"), 0.0))


class Handover(Protocol):
    """Hands connections over to replay (chaincast/fanout/handover.py)."""

    async def hand_over(self, source: str, seq: int, stalled: list[Stalled]) -> list[str]: ...


class Deliverer:
    """Delivers batches to the subscribers of a shard. Deliveries of several sources may run at once, one task each."""

    def __init__(
        self,
        subscribers: SubscriberReader,
        holds: HoldReader,
        handover: Handover,
        poster: ConnectionPoster,
        max_bytes: int,
        chains: Chains,
    ) -> None:
        self._subscribers = subscribers
        self._chains = chains
        self._holds = holds
        self._handover = handover
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
        run = _Run(plan, batches[-1], progress, self._poster.begin(seconds), report)
        report.ms["plan"] += (perf_counter() - started) * 1000
        try:
            async for views in self._subscribers.pages(plan, assignment):
                # Holds are read after the rows: a hold is written before its connection's rows, so none is missed.
                holds = await self._holds.left_to_replay(plan.source, assignment, views, run.end[0]) if views else {}
                if not report.ms["query"]:
                    report.ms["query"] = (perf_counter() - started) * 1000
                if not await run.offer(run.without_held(views, holds)):
                    report.error = "time was up, or too many posts failed"
                    break
        except TableUnavailable as error:
            report.error = str(error)
        report.outcomes = await run.posting.drain()
        await self._hand_over(run, report)
        if report.error or report.outcomes.deferred:
            report.delivered_up_to = run.delivered_up_to(assignment, run.last if report.error else None)
            report.error = report.error or f"{len(report.outcomes.deferred)} connections could not be reached"
        report.queries = self._subscribers.requests + self._holds.requests - queries
        report.ms["post"] = (perf_counter() - started) * 1000 - report.ms["query"] - report.ms["plan"]
        return report

    async def _hand_over(self, run: _Run, report: Report) -> None:
        """Leave connections whose clients do not read to replay. Those for which that fails are deferred."""
        if stalled := run.stalled():
            failed = await self._handover.hand_over(run.source, run.end[0], stalled)
            report.outcomes.deferred += failed
            report.handed_over = len(stalled) - len(failed)


class _Run:
    """A delivery in progress."""

    def __init__(self, plan: Plan, end: Batch, progress: DeliveryProgress, posting: PostBatch, report: Report) -> None:
        self.posting = posting
        self.last = ""
        """Id of the last connection whose messages were submitted."""
        self.source = plan.source
        self._plan = plan
        self._begins_after = plan.first - 1
        self.end = (end.seq, end.part)
        self._progress = progress
        self._report = report
        self._payloads: dict[View, _Messages] = {}
        self._released: dict[str, int] = {}
        """Connections that fan-out delivers to again, with the batch up to which a replay has delivered."""

    def without_held(self, views: dict[str, View], holds: Mapping[str, int | None]) -> dict[str, View]:
        """Return the views without the items that replay delivers or that earlier attempts have delivered.

        `holds`: connections on hold (chaincast/fanout/holds_reader.py).
        """
        for connection, after in holds.items():
            self._report.held += after is None
            if after:
                self._released[connection] = after
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

    def stalled(self) -> list[Stalled]:
        """Return the connections whose clients do not read, and the batch up to which each has everything."""
        return [self._stalled(c, messages) for c, messages in self.posting.outcomes.stalled.items()]

    def _stalled(self, connection: str, messages: Sequence[Payload]) -> Stalled:
        assert isinstance(messages, _Messages)  # as `offer` submitted them
        last = self._progress.last_delivered(connection)
        # It may miss parts of its last batch.
        since = max(self._begins_after, self._released.get(connection, 0), last[0] - 1 if last else 0)
        return Stalled(connection, messages.dialect, since)

    def _encode(self, view: View) -> _Messages:
        started = perf_counter()
        if len(self._payloads) >= _MAX_VIEWS:
            self._payloads.clear()
        made = self._payloads[view] = _Messages(view[-1][0], (Payload(body) for body in self._plan.messages(view)))
        self._report.ms["plan"] += (perf_counter() - started) * 1000
        return made

    def delivered_up_to(self, assignment: ShardAssignment, upto: str | None) -> DeliveredUpTo:
        """Return the progress of this attempt."""
        return DeliveredUpTo(
            self.end, upto, frozenset(self._report.outcomes.deferred), assignment.shards, assignment.shard
        )


class _Messages(list[Payload]):
    """The messages of a view. `dialect`: their dialect."""

    def __init__(self, dialect: str, messages: Iterable[Payload]) -> None:
        super().__init__(messages)
        self.dialect = dialect


_ANY_PART = 1 << 30
"""A part number beyond all parts, so that `mask_after` leaves out the whole batch."""
