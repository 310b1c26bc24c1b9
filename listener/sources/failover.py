"""Several endpoints of one chain as one source: the best is used, the others are watched and changed to.

An endpoint is left when its calls fail, when it falls behind the others, or when no block came from it for longer than
the chain needs for one: then all are asked. When the first of the configuration is well again, it is come back to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Protocol, TypeVar

from aws_lambda_powertools import Logger

from chaincast.errors import SourceError, WrongChain
from listener.sources.base import Block, LogFilter, Source
from listener.sources.endpoint_health import MARGIN, Standing
from listener.sources.faults import NotThere, RangeTooLarge, Throttled, without_urls

logger = Logger(service="listener", child=True)

T = TypeVar("T")

_STALL = 1.25
"""Block times without a block after which all endpoints are asked."""

_RESTING = 10.0
"""Seconds between two questions to all of them, while the chain rests."""

_LONGEST_STALL = 30.0
"""However slow the chain: the listener's loop must turn to be taken for alive."""

_PROBE_SECONDS = 5.0


class Candidate(Source, Protocol):
    """A source of one endpoint."""

    async def head_after(self, block: int, patience: float = ...) -> int: ...

    def forget_head(self) -> None: ...


class Failover:
    """`sources` by name, the preferred one first. `changed` is told of every change to another."""

    def __init__(
        self,
        sources: Sequence[tuple[str, Candidate]],
        block_seconds: float,
        changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._names = [name for name, _ in sources]
        self._sources = [source for _, source in sources]
        self._standings = [Standing(place) for place in range(len(sources))]
        self._block_seconds = block_seconds
        self._changed = changed
        self._active = 0
        self._asked = False
        self._stall = min(max(_STALL * block_seconds, 0.2), _LONGEST_STALL)
        self._asking = min(max(0.5 * block_seconds, 0.5), 10.0)
        self._patience = self._stall
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
        if not self._asked:
            # At the start all are asked: one that serves another chain is a mistake to be told of now.
            await self._ask_all(10.0)
            for standing in self._standings:
                if standing.wrong:
                    raise WrongChain(standing.wrong)
            self._asked = True
            self._choose()
        return await self._attempt(lambda source: source.head())

    async def head_after(self, block: int) -> int:
        if not self._asked:
            await self.head()
        patience = self._patience
        head = await self._attempt(lambda source: source.head_after(block, patience), timed=False)
        self._standings[self._active].head = max(head, self._standings[self._active].head)
        if head > block:
            self._patience = self._stall
            self._probe()
            return head
        await self._ask_all(self._asking)
        best = max(standing.head for standing in self._standings)
        if best > block:
            if self._standings[self._active].head <= block:
                self._standings[self._active].failed(monotonic())
                self._choose(at_least=best)
            return best
        # Nobody has more: it is the chain that rests. Asking all of them is not free.
        self._patience = min(self._patience * 2, max(_RESTING, self._stall))
        return head

    async def header(self, number: int) -> Block:
        return await self._attempt(lambda source: source.header(number))

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        return await self._attempt(lambda source: source.blocks(first, last, wanted, linked=linked))

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        return await self._attempt(lambda source: source.read(calls))

    async def _attempt(self, ask: Callable[[Candidate], Awaitable[T]], *, timed: bool = True) -> T:
        """What the best endpoint answers, or else the next best. Raises what the last of them raised.

        `timed`: how long it takes says something of the endpoint.
        """
        tried: set[int] = set()
        while True:
            place = self._active
            standing, started = self._standings[place], monotonic()
            try:
                answer = await self._answer(place, ask)
            except RangeTooLarge:
                raise
            except WrongChain as error:
                self._exclude(place, error)
                if all(s.wrong for s in self._standings):
                    raise
                fault: Exception = error
            except NotThere as error:
                self._sources[place].forget_head()
                standing.failed(monotonic(), weight=0.4)
                fault = error
            except SourceError as error:
                retry_after = error.retry_after if isinstance(error, Throttled) else None
                standing.failed(monotonic(), retry_after=retry_after)
                fault = error
            else:
                now = monotonic()
                standing.succeeded(now - started if timed else standing.latency, now)
                return answer
            tried.add(place)
            if not self._choose(besides=tried, because=str(fault)):
                # None is left to try; the next attempt begins with the best of them.
                self._choose()
                raise fault

    async def _answer(self, place: int, ask: Callable[[Candidate], Awaitable[T]]) -> T:
        """What an endpoint answers. An answer that is not of the shape it should have is its fault, and no crash."""
        try:
            return await ask(self._sources[place])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            said = f"{type(error).__name__}: {without_urls(str(error))}"
            raise SourceError(f"{self._names[place]}: an answer of the wrong shape: {said}") from error

    def _choose(
        self, *, besides: frozenset[int] | set[int] = frozenset(), at_least: int = -1, because: str = ""
    ) -> bool:
        """Change to the best endpoint; False if there is none besides those. What works is left only for a better."""
        now, best_head = monotonic(), max(s.head for s in self._standings)
        scores = {
            place: standing.score(best_head, self._block_seconds, now)
            for place, standing in enumerate(self._standings)
            if place not in besides and not standing.wrong and (standing.head >= at_least or at_least < 0)
        }
        if not scores:
            return False
        best = min(scores, key=lambda place: scores[place])
        current = scores.get(self._active)
        if best != self._active and (current is None or scores[best] < current - MARGIN):
            logger.warning("endpoint changed", before=self.active, after=self._names[best], because=because or "scores")
            self._active = best
            self._changed(self._names[best])
        return True

    def _exclude(self, place: int, error: WrongChain) -> None:
        self._standings[place].wrong = str(error)
        logger.error("endpoint excluded", endpoint=self._names[place], error=str(error))

    def _probe(self) -> None:
        """Every few seconds, beside the work: how are those that are not in use? And is one of them better?"""
        if len(self._sources) == 1 or monotonic() - self._probed_at < max(_PROBE_SECONDS, 2 * self._block_seconds):
            return

        async def probe() -> None:
            await self._ask_all(self._asking)
            self._choose()

        self._probed_at = monotonic()
        self._probing = asyncio.create_task(probe(), name="probe")

    async def _ask_all(self, seconds: float) -> None:
        """Ask every endpoint for its head."""
        self._probed_at = monotonic()
        await asyncio.gather(*(self._ask(place, seconds) for place in range(len(self._sources))))

    async def _ask(self, place: int, seconds: float) -> None:
        standing, started = self._standings[place], monotonic()
        if standing.wrong or started < standing.not_before:
            return
        try:
            async with asyncio.timeout(seconds):
                standing.head = await self._answer(place, lambda source: source.head())
        except WrongChain as error:
            self._exclude(place, error)
        except (SourceError, TimeoutError):
            standing.failed(monotonic(), weight=0.5)
            # A connection that gives no answer is of no use to anybody: the next question opens another.
            await self._sources[place].close()
        else:
            standing.succeeded(monotonic() - started, monotonic())
