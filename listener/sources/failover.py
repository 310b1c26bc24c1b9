"""Several endpoints of one chain as one source: the healthiest is used, and the others are monitored.

The source changes to another endpoint when calls fail, when the endpoint falls behind the others, or when it delivers
no block for longer than the chain's block time; then all endpoints are polled. When the first endpoint of the
configuration has recovered, the source returns to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Protocol, TypeVar

from aws_lambda_powertools import Logger

from chaincast.errors import SourceError, WrongChain
from listener.sources.base import Block, LogFilter, Source
from listener.sources.endpoint_health import SWITCH_MARGIN, EndpointHealth
from listener.sources.faults import BlockUnavailable, RangeTooLarge, Throttled, without_urls

logger = Logger(service="listener", child=True)

T = TypeVar("T")

_STALL_BLOCKS = 1.25
"""Number of block times without a new block after which all endpoints are polled."""

_IDLE_WAIT_SECONDS = 10.0
"""Maximum seconds between two polls of all endpoints while no endpoint has a new block."""

_MAX_STALL_SECONDS = 30.0
"""Maximum seconds to wait for a block of a slow chain. The listener's loop must continue, to be seen as alive."""

_PROBE_SECONDS = 5.0
"""Minimum seconds between two probes of the endpoints that are not in use."""


class Candidate(Source, Protocol):
    """A source that reads one endpoint."""

    async def head_after(self, block: int, max_wait: float = ...) -> int:
        """Wait until the head is beyond `block`, at most `max_wait` seconds, and return the head."""
        ...

    def reset_head(self) -> None:
        """Discard the known head, because another node contradicted it."""
        ...


class Failover:
    """Source that uses the healthiest of several endpoints.

    `sources` are pairs of name and source, the preferred one first. `on_change` is called with the name of the new
    endpoint whenever the source changes to another.
    """

    def __init__(
        self,
        sources: Sequence[tuple[str, Candidate]],
        block_seconds: float,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._names = [name for name, _ in sources]
        self._sources = [source for _, source in sources]
        self._health = [EndpointHealth(rank) for rank in range(len(sources))]
        self._block_seconds = block_seconds
        self._on_change = on_change
        self._active = 0
        self._checked = False
        """True if all endpoints were polled once and none of them serves another chain."""
        self._stall_seconds = min(max(_STALL_BLOCKS * block_seconds, 0.2), _MAX_STALL_SECONDS)
        """Seconds to wait for the next block while the chain produces blocks."""
        self._poll_timeout = min(max(0.5 * block_seconds, 0.5), 10.0)
        """Seconds that an endpoint has to return its head when all are polled."""
        self._max_wait = self._stall_seconds
        """Seconds to wait for the next block. It begins with `_stall_seconds` and doubles while the chain is idle."""
        self._probed_at = 0.0
        self._probing: asyncio.Task[None] | None = None

    @property
    def active(self) -> str:
        """The name of the endpoint in use."""
        return self._names[self._active]

    async def close(self) -> None:
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)
        await asyncio.gather(*(source.close() for source in self._sources))

    async def head(self) -> int:
        if not self._checked:
            # All endpoints are polled at the start: one that serves another chain is a configuration error.
            await self._poll_all(10.0)
            for health in self._health:
                if health.excluded_because:
                    raise WrongChain(health.excluded_because)
            self._checked = True
            self._choose()
        return await self._attempt(lambda source: source.head())

    async def head_after(self, block: int) -> int:
        if not self._checked:
            await self.head()
        max_wait = self._max_wait
        head = await self._attempt(lambda source: source.head_after(block, max_wait), timed=False)
        self._health[self._active].head = max(head, self._health[self._active].head)
        if head > block:
            self._max_wait = self._stall_seconds
            self._probe_when_due()
            return head
        await self._poll_all(self._poll_timeout)
        best = max(health.head for health in self._health)
        if best > block:
            if self._health[self._active].head <= block:
                self._health[self._active].record_failure(monotonic())
                self._choose(min_head=best)
            return best
        # No endpoint has a new block, so the chain is idle. Polling all endpoints has a cost, so it becomes rarer.
        self._max_wait = min(self._max_wait * 2, max(_IDLE_WAIT_SECONDS, self._stall_seconds))
        return head

    async def header(self, number: int) -> Block:
        return await self._attempt(lambda source: source.header(number))

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        return await self._attempt(lambda source: source.blocks(first, last, wanted, linked=linked))

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        return await self._attempt(lambda source: source.read(calls))

    async def _attempt(self, request: Callable[[Candidate], Awaitable[T]], *, timed: bool = True) -> T:
        """Send a request to the best endpoint, then to the next best, until one succeeds.

        Raise the error of the last endpoint if all fail. `timed` is False for requests whose duration does not depend
        on the endpoint.
        """
        tried: set[int] = set()
        while True:
            index = self._active
            health, started = self._health[index], monotonic()
            try:
                result = await self._request(index, request)
            except RangeTooLarge:
                raise
            except WrongChain as error:
                self._exclude(index, error)
                if all(health.excluded_because for health in self._health):
                    raise
                fault: Exception = error
            except BlockUnavailable as error:
                self._sources[index].reset_head()
                health.record_failure(monotonic(), weight=0.4)
                fault = error
            except SourceError as error:
                retry_after = error.retry_after if isinstance(error, Throttled) else None
                health.record_failure(monotonic(), retry_after=retry_after)
                fault = error
            else:
                now = monotonic()
                health.record_success(now - started if timed else health.latency, now)
                return result
            tried.add(index)
            if not self._choose(excluding=tried, because=str(fault)):
                # Every endpoint has failed. The next attempt begins with the best of them.
                self._choose()
                raise fault

    async def _request(self, index: int, request: Callable[[Candidate], Awaitable[T]]) -> T:
        """Send a request to one endpoint. Raise `SourceError` if the response has an unexpected shape."""
        try:
            return await request(self._sources[index])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"{type(error).__name__}: {without_urls(str(error))}"
            raise SourceError(f"{self._names[index]}: the response has an unexpected shape: {reason}") from error

    def _choose(
        self, *, excluding: frozenset[int] | set[int] = frozenset(), min_head: int = -1, because: str = ""
    ) -> bool:
        """Change to the best endpoint with a head of at least `min_head`. Return False if there is none.

        An endpoint that works is left only for one whose score is better by `SWITCH_MARGIN`.
        """
        now, best_head = monotonic(), max(health.head for health in self._health)
        scores = {
            index: health.score(best_head, self._block_seconds, now)
            for index, health in enumerate(self._health)
            if index not in excluding and not health.excluded_because and (health.head >= min_head or min_head < 0)
        }
        if not scores:
            return False
        best = min(scores, key=lambda index: scores[index])
        current = scores.get(self._active)
        if best != self._active and (current is None or scores[best] < current - SWITCH_MARGIN):
            logger.warning("endpoint changed", before=self.active, after=self._names[best], because=because or "scores")
            self._active = best
            self._on_change(self._names[best])
        return True

    def _exclude(self, index: int, error: WrongChain) -> None:
        self._health[index].excluded_because = str(error)
        logger.error("endpoint excluded", endpoint=self._names[index], error=str(error))

    def _probe_when_due(self) -> None:
        """Every few seconds, poll all endpoints in the background, and change to a better one."""
        if len(self._sources) == 1 or monotonic() - self._probed_at < max(_PROBE_SECONDS, 2 * self._block_seconds):
            return

        async def probe() -> None:
            await self._poll_all(self._poll_timeout)
            self._choose()

        self._probed_at = monotonic()
        self._probing = asyncio.create_task(probe(), name="probe")

    async def _poll_all(self, timeout: float) -> None:  # noqa: ASYNC109 - the timeout of each endpoint, not of the call
        """Read the head of every endpoint, each within `timeout` seconds."""
        self._probed_at = monotonic()
        await asyncio.gather(*(self._poll(index, timeout) for index in range(len(self._sources))))

    async def _poll(self, index: int, seconds: float) -> None:
        health, started = self._health[index], monotonic()
        if health.excluded_because or started < health.not_before:
            return
        try:
            async with asyncio.timeout(seconds):
                health.head = await self._request(index, lambda source: source.head())
        except WrongChain as error:
            self._exclude(index, error)
        except (SourceError, TimeoutError):
            health.record_failure(monotonic(), weight=0.5)
            # The connection of an endpoint that does not respond is closed. The next request opens another.
            await self._sources[index].close()
        else:
            health.record_success(monotonic() - started, monotonic())
