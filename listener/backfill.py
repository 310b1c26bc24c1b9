"""Backfill: reading the blocks before a network's first start, for History and State.

Several ranges are read in parallel and written in order. Memory is bounded by the number of ranges, and a range by its
number of logs. The checkpoint moves range by range; after a crash the last ranges are written again, with equal bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from time import monotonic

from aws_lambda_powertools import Logger

from chaincast.errors import SourceError
from listener.block_processor import BlockProcessor
from listener.metrics import ListenerMetrics
from listener.sink import Sink, make_batch
from listener.sources.backoff import backoff
from listener.sources.base import Block, Source
from listener.sources.faults import RangeTooLarge
from listener.sources.ranges import RangeSize

logger = Logger(service="listener", child=True)

REPORT_SECONDS = 10.0


class Progress:
    """Progress and speed of a backfill."""

    def __init__(self, first: int, last: int, now: float) -> None:
        self._first, self._last, self._started = first, last, now
        self._events = 0

    def report(self, done: int, events: int, now: float) -> dict[str, float]:
        """Return the fields of a progress report, after block `done` and `events` more events were written."""
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
    """The backfill of one network, from its checkpoint to a final block."""

    def __init__(
        self,
        name: str,
        source: Source,
        sink: Sink,
        processor: BlockProcessor,
        ranges: RangeSize,
        parallel: int,
        block_seconds: float,
        metrics: ListenerMetrics,
        report_liveness: Callable[[], None],
    ) -> None:
        self._name = name
        self._source = source
        self._sink = sink
        self._processor = processor
        self._ranges = ranges
        self._parallel = parallel
        self._block_seconds = block_seconds
        self._metrics = metrics
        self._report_liveness = report_liveness

    async def run(self, last: int, stopped: Callable[[], bool]) -> None:
        """Read up to block `last`, or until `stopped()`. Raise `SourceError` if a contract cannot be read."""
        done = self._sink.checkpoint.block
        assert done is not None
        progress = Progress(done + 1, last, monotonic())
        reported = monotonic()
        logger.info("backfill begins", network=self._name, first=done + 1, last=last)
        ranges = self._in_order(done + 1, last)
        try:
            async for blocks in ranges:
                events = await self._handle(blocks)
                self._report_liveness()
                report = progress.report(blocks[-1].number, events, monotonic())
                if monotonic() - reported >= REPORT_SECONDS or blocks[-1].number == last:
                    reported = monotonic()
                    logger.info("backfill", extra={"network": self._name, **report})
                if stopped():
                    return
        finally:
            await ranges.aclose()

    async def _handle(self, blocks: list[Block]) -> int:
        """Process and write a range of blocks. Return the number of its events."""
        discovered = await self._processor.discover_contracts(blocks)
        batches = []
        before = self._sink.checkpoint.block or 0
        for block, events_of_block in zip(blocks, await self._processor.process(blocks, 0), strict=True):
            if events_of_block:
                batches.append(make_batch(self._name, self._sink.checkpoint.seq, block, events_of_block))
        last = blocks[-1]
        await asyncio.shield(asyncio.to_thread(self._sink.backfill, batches, discovered, last))
        events = sum(len(batch.events) for batch in batches)
        self._metrics.count_written(last.number, last.timestamp, events, last.number - before)
        self._metrics.print_when_due()
        await self._processor.snapshot_when_due()
        return events

    async def _in_order(self, first: int, last: int) -> AsyncGenerator[list[Block], None]:
        """Yield the blocks of consecutive ranges, reading some ranges ahead."""
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
        """Return the blocks of a range. Retry until it succeeds, in halves if the range is too large."""
        failures = 0
        while True:
            try:
                blocks = await self._source.blocks(first, last, self._processor.wanted, linked=False)
            except RangeTooLarge as error:
                self._ranges.record_refusal(last - first + 1, error.suggested)
                if first < last:
                    middle = min(first + self._ranges.size, last) - 1
                    return [*await self._fetch(first, middle), *await self._fetch(middle + 1, last)]
                fault: SourceError = error
            except SourceError as error:
                fault = error
            else:
                self._ranges.record_response(last - first + 1, sum(len(block.logs) for block in blocks))
                return blocks
            failures += 1
            delay = backoff(fault, failures, self._block_seconds)
            logger.warning("source failed", network=self._name, error=str(fault), retry_in=round(delay, 2))
            self._report_liveness()
            await asyncio.sleep(delay)
