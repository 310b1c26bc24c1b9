"""Reading what happened before a network's first start: ranges side by side, written in order, for History and State.

Memory is bounded by the ranges under way, and those by how many logs they bring. What was written is noted range by
range; after a crash the last few seconds are written again, to the same bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from time import monotonic

from aws_lambda_powertools import Logger

from chaincast.errors import SourceError
from chaincast.model.batches import Batch
from listener.block_processor import Interpreter
from listener.learn import backoff
from listener.metrics import ListenerMetrics
from listener.sink import Sink
from listener.sources.base import Block, Source
from listener.sources.faults import RangeTooLarge
from listener.sources.ranges import RangeSize

logger = Logger(service="listener", child=True)

REPORT_SECONDS = 10.0


class Progress:
    """How far a backfill is, and how fast: pure, but for the clock it is given."""

    def __init__(self, first: int, last: int, now: float) -> None:
        self._first, self._last, self._started = first, last, now
        self._events = 0

    def figures(self, done: int, events: int, now: float) -> dict[str, float]:
        """After `done` is done and so many more events were written."""
        self._events += events
        seconds = max(now - self._started, 1e-6)
        blocks_per_second = (done - self._first + 1) / seconds
        return {
            "block": done,
            "of": self._last,
            "percent": round(100 * (done - self._first + 1) / (self._last - self._first + 1), 1),
            "blocks_per_second": round(blocks_per_second, 1),
            "events_per_second": round(self._events / seconds, 1),
            "seconds_left": round((self._last - done) / blocks_per_second),
        }


class Backfill:
    """One network's, from its checkpoint to a block that is final."""

    def __init__(
        self,
        name: str,
        source: Source,
        sink: Sink,
        interpreter: Interpreter,
        ranges: RangeSize,
        parallel: int,
        block_seconds: float,
        metrics: ListenerMetrics,
        alive: Callable[[], None],
    ) -> None:
        self._name = name
        self._source = source
        self._sink = sink
        self._interpreter = interpreter
        self._ranges = ranges
        self._parallel = parallel
        self._block_seconds = block_seconds
        self._metrics = metrics
        self._alive = alive

    async def run(self, last: int, stopped: Callable[[], bool]) -> None:
        """Read up to `last`, or until told to stop. Raises `SourceError` when a contract could not be asked."""
        done = self._sink.checkpoint.block
        assert done is not None
        progress = Progress(done + 1, last, monotonic())
        reported = monotonic()
        logger.info("backfill begins", network=self._name, first=done + 1, last=last)
        ranges = self._in_order(done + 1, last)
        try:
            async for blocks in ranges:
                events = await self._handle(blocks)
                self._alive()
                figures = progress.figures(blocks[-1].number, events, monotonic())
                if monotonic() - reported >= REPORT_SECONDS or blocks[-1].number == last:
                    reported = monotonic()
                    logger.info("backfill", extra={"network": self._name, **figures})
                if stopped():
                    return
        finally:
            await ranges.aclose()

    async def _handle(self, blocks: list[Block]) -> int:
        """Write what a range brought; the number of its events."""
        found = await self._interpreter.learn(blocks)
        batches = []
        before = self._sink.checkpoint.block or 0
        for block, told in zip(blocks, await self._interpreter.interpret(blocks, 0), strict=True):
            if told:
                batches.append(
                    Batch(
                        source=self._name,
                        seq=self._sink.checkpoint.seq,
                        timestamp=block.timestamp * 1000,
                        events=told,
                        block=block.number,
                        block_hash=block.hash,
                    )
                )
        last = blocks[-1]
        await asyncio.shield(asyncio.to_thread(self._sink.backfill, batches, found, last))
        events = sum(len(batch.events) for batch in batches)
        self._sink.stands(block_time=last.timestamp)
        self._metrics.done(last.number, last.timestamp, events, last.number - before)
        self._metrics.print_when_due()
        await self._interpreter.keep_when_due()
        return events

    async def _in_order(self, first: int, last: int) -> AsyncGenerator[list[Block], None]:
        """The blocks of consecutive ranges; some are asked for ahead."""
        under_way: deque[asyncio.Task[list[Block]]] = deque()
        try:
            while under_way or first <= last:
                while first <= last and len(under_way) < self._parallel:
                    end = min(last, first + self._ranges.size - 1)
                    under_way.append(asyncio.create_task(self._fetch(first, end), name=f"blocks {first}…{end}"))
                    first = end + 1
                yield await under_way[0]
                under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _fetch(self, first: int, last: int) -> list[Block]:
        """The blocks of a range, however often it takes; in halves where it is too long."""
        failures = 0
        while True:
            try:
                blocks = await self._source.blocks(first, last, self._interpreter.wanted, linked=False)
            except RangeTooLarge as error:
                self._ranges.refused(last - first + 1, error.suggested)
                if first < last:
                    middle = min(first + self._ranges.size, last) - 1
                    return [*await self._fetch(first, middle), *await self._fetch(middle + 1, last)]
                fault: SourceError = error
            except SourceError as error:
                fault = error
            else:
                self._ranges.answered(last - first + 1, sum(len(block.logs) for block in blocks))
                return blocks
            failures += 1
            delay = backoff(fault, failures, self._block_seconds)
            logger.warning("source failed", network=self._name, error=str(fault), retry_in=round(delay, 2))
            self._alive()
            await asyncio.sleep(delay)
