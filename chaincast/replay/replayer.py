"""Replay: delivers the batches that a client missed from the event log, in order, then hands over to fan-out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum
from time import monotonic, time

from chaincast.aws.fast.poster import ConnectionPoster
from chaincast.eventlog.log_store import LogReader
from chaincast.fanout import subscribers
from chaincast.fanout.plan import Plan
from chaincast.jobs.messages import Replay
from chaincast.model.batches import Batch
from chaincast.model.cursors import format_cursor
from chaincast.model.holds import HoldKey
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Chains
from chaincast.replay.holds import HoldReleased, Holds
from chaincast.replay.start import expired
from chaincast.sessions.subscription_store import Subscription, SubscriptionStore

TOGETHER = 100
"""Maximum number of log items that are delivered together,"""
EVENTS = 1_000
"""or fewer, if they have this many events,"""
SINGLE_EVENTS = 50
"""or this many in a dialect whose messages carry a single event. A slow client should receive them in one run."""

_PAUSE = 0.05
_LOOKS = 60
"""Seconds between checks for the hold and the rows, which the message function writes after it has queued this job."""


class Ending(Enum):
    """How a replay ended."""

    LIVE = "live"
    GONE = "gone"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    """Another resumption took the hold over, or there is none."""
    UNFINISHED = "unfinished"
    """Time was up, or API Gateway refused a message: the replay continues later."""
    SLOW = "slow"
    """The client has read some messages, and then none for two seconds: the replay continues later."""
    STALLED = "stalled"
    """The client has read nothing: API Gateway responded 429 to every attempt."""


def oldest_after_gap(batches: Sequence[Batch], at: int) -> int | None:
    """Return the oldest number after which the log is whole, if a batch or a part after number `at` is missing.

    DynamoDB deletes expired items within days, in no particular order, so that one may be gone between others.
    Return None if nothing is missing.
    """
    oldest = None
    due = (at + 1, 0)
    for batch in batches:
        if (batch.seq, batch.part) != due:
            oldest = batch.seq if batch.part else batch.seq - 1
        due = (batch.seq, batch.part + 1) if batch.part + 1 < batch.parts else (batch.seq + 1, 0)
    return oldest


class Replayer:
    """One replay, for one connection and source."""

    def __init__(
        self,
        job: Replay,
        log: LogReader,
        holds: Holds,
        subscriptions: SubscriptionStore,
        gateway: ConnectionPoster,
        max_bytes: int,
        chains: Chains,
    ) -> None:
        self._job = job
        self._hold = HoldKey(job.connection_id, job.source, job.shards, job.token)
        self._log = log
        self._holds = holds
        self._subscriptions = subscriptions
        self._gateway = gateway
        self._max_bytes = max_bytes
        self._chains = chains
        self._dialect = registry.get(job.dialect, chains)
        self._max_events = SINGLE_EVENTS if self._dialect.single_event_messages else EVENTS
        self._until = 0.0
        self._together = TOGETHER
        """Maximum number of log items that are delivered together. A slow client may have room for a few only."""
        self.at = self._recorded = self._told = 0
        """The batch up to which the client has everything: as stored, and as the client knows."""
        self.posted = 0

    async def run(self, seconds: float) -> Ending:
        """Replay until fan-out has taken over. Begin nothing after `seconds`."""
        try:
            found = await self._since()
            if found is None:
                return Ending.SUPERSEDED
            since, stalled = found
            self._together = 1 if stalled else TOGETHER
            self.at = self._recorded = self._told = since
            self._until = monotonic() + seconds
            ending = await self._replay()
            if ending in (Ending.UNFINISHED, Ending.SLOW) and self.at > self._recorded:
                await asyncio.to_thread(self._holds.advance, self._hold, self.at)
            return ending
        except HoldReleased:
            return Ending.SUPERSEDED

    async def _replay(self) -> Ending:
        while monotonic() < self._until:
            # Before reading the log, so that batches that it does not have yet will find all rows of this connection.
            await self._topics()
            found, more = await asyncio.to_thread(self._read)
            if (oldest := oldest_after_gap(found, self.at)) is not None:
                await self._gateway.deliver(self._expired(oldest), [self._job.connection_id])
                return await self._given_up(Ending.EXPIRED)
            if found and (ending := await self._tell(found)) is not None:
                if ending not in (Ending.SLOW, Ending.STALLED) or self._together == 1 or len(found) == 1:
                    return ending
                self._together = 1
                continue
            self._together = min(2 * self._together, TOGETHER)
            if more:
                continue
            # Release at the end of the log as of a moment ago: a busy source would never be caught up with otherwise.
            if (ending := await self._say_where()) is not None:
                return ending
            if await asyncio.to_thread(self._holds.release, self._hold, self.at):
                return Ending.LIVE
        return Ending.UNFINISHED

    async def _since(self) -> tuple[int, bool] | None:
        """Wait for the hold, and return as `Holds.since`; None if it does not come. Without it fan-out delivers."""
        for _ in range(_LOOKS):
            since = await asyncio.to_thread(self._holds.since, self._hold)
            if since is not None:
                return since
            await asyncio.sleep(_PAUSE)
        return None

    async def _topics(self) -> Mapping[str, Subscription]:
        """Return the topics of the connection, including those being subscribed unless that seems to have failed."""
        topics: Mapping[str, Subscription] = {}
        for _ in range(_LOOKS):
            topics, complete = await asyncio.to_thread(self._subscriptions.list_subscriptions, self._job.connection_id)
            if complete:
                break
            await asyncio.sleep(_PAUSE)
        return {**topics, subscribers.TOPIC: Subscription(self._job.dialect)}  # which needs no subscription

    def _read(self) -> tuple[list[Batch], bool]:
        """Read the next batches with all their parts, and whether there are more.

        Batches that fan-out processed before this connection subscribed are delivered only by the replay.
        """
        found: list[Batch] = []
        events = 0
        for batch in self._log.after(self._job.source, self.at, self._together + 1):
            if (len(found) >= self._together or events >= self._max_events) and batch.part == 0:
                return found, True
            found.append(batch)
            events += len(batch.events)
        return found, False

    async def _tell(self, batches: list[Batch]) -> Ending | None:
        # After reading the log: topics subscribed before these batches came are held back as well, and replayed.
        topics = await self._topics()
        # A topic among them may have been subscribed with an earlier cursor, which took the hold over. The replay that
        # owns it now begins there, so that the topic's events come in order.
        if await asyncio.to_thread(self._holds.since, self._hold) is None:
            return Ending.SUPERSEDED
        plan = Plan(batches, self._max_bytes, self._chains)
        masks: dict[str, int] = {}
        for topic, subscription in topics.items():
            mask = plan.topics.get(topic, 0)
            if subscription.kinds is not None:
                mask &= plan.of_kinds(subscription.kinds)
            if mask:
                masks[subscription.dialect] = masks.get(subscription.dialect, 0) | mask
        messages = plan.messages(tuple(sorted(masks.items())))
        if (ending := await self._post(messages)) is not None:
            return ending
        self.at = batches[-1].seq
        if messages:
            self._told = self.at
        if self.at - self._recorded >= TOGETHER:  # a repeated job begins here
            await asyncio.to_thread(self._holds.advance, self._hold, self.at)
            self._recorded = self.at
        return None

    async def _say_where(self) -> Ending | None:
        """Send a message without events, for its cursor: the client's next resumption is short."""
        if self._told == self.at:
            return None
        self._told = self.at
        return await self._post((self._dialect.events_message(self._job.source, format_cursor(self.at), "", ()),))

    async def _post(self, messages: Sequence[bytes]) -> Ending | None:
        """Post messages, as long as the client accepts any and there is time. Return None if it has them all."""
        while True:
            outcomes = await self._gateway.deliver(messages, [self._job.connection_id])
            self.posted += outcomes.posted
            if outcomes.gone:
                return await self._given_up(Ending.GONE)
            if not outcomes.deferred and not outcomes.stalled:
                return None
            if outcomes.stalled and not outcomes.posted:
                return Ending.SLOW if self.posted else Ending.STALLED
            if not outcomes.posted or monotonic() >= self._until:
                return Ending.UNFINISHED
            messages = messages[outcomes.posted + outcomes.refused.total() :]

    async def _given_up(self, ending: Ending) -> Ending:
        await asyncio.to_thread(self._holds.remove, self._hold)
        return ending

    def _expired(self, oldest: int) -> tuple[bytes, ...]:
        error = expired(self._job.source, format_cursor(self.at), oldest)
        return self._dialect.outcome_messages(error, int(time() * 1000))
