"""The main loop of a listener: wait for new blocks, read them, process them, write their batches; hold the lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from time import perf_counter

from aws_lambda_powertools import Logger

from chaincast.config.network import Network
from chaincast.errors import ConfigError, ForkDetected, SourceError, WrongChain
from chaincast.model.batches import Batch
from chaincast.model.events import Event
from listener.backfill import Backfill
from listener.block_processor import BlockProcessor
from listener.metrics import ListenerMetrics
from listener.reorg import find_fork, live
from listener.sink import Sink, make_batch
from listener.sources.backoff import backoff
from listener.sources.base import Block, Source
from listener.sources.faults import RangeTooLarge
from listener.sources.ranges import RangeSize

logger = Logger(service="listener", child=True)

STANDBY_ASKS = 15
"""Number of attempts to take the lease that a standby makes within one term of the lease."""

MAX_LINKED = 64
"""Maximum number of blocks per read near the head, where every header is read, too."""


class _Forked(Exception):
    """The block after the checkpoint has a different parent: the chain was reorganised."""


class Follower:
    """The listener of one network, from taking the lease until it loses the lease or is stopped."""

    def __init__(
        self,
        name: str,
        network: Network,
        source: Source,
        sink: Sink,
        processor: BlockProcessor,
        lease_seconds: float,
        metrics: ListenerMetrics,
        report_liveness: Callable[[], None],
    ) -> None:
        self._name = name
        self._network = network
        self._source = source
        self._sink = sink
        self._processor = processor
        self._lease_seconds = lease_seconds
        self._metrics = metrics
        self._report_liveness = report_liveness
        self._block_seconds = network.block_ms / 1000
        self._ranges = RangeSize(network.block_range)
        self._stop = asyncio.Event()

    @property
    def done(self) -> int | None:
        """Number of the newest written block; None before the first."""
        return self._sink.checkpoint.block

    def stop(self) -> None:
        """Stop after the current block."""
        self._stop.set()

    async def run(self) -> None:
        """Follow the chain until stopped. While another listener holds the lease, wait as its standby.

        Raise `LeaseLost` when another listener has taken over: the process must exit, so that its unfinished work
        cannot be mistaken for that of its next start. Raise `WrongChain`, `ForkDetected` or `ConfigError` if a person
        has to act; these are counted as `ListenerStopped`.
        """
        try:
            await self._run()
        except (WrongChain, ForkDetected, ConfigError):
            self._metrics.print_stopped()
            raise

    async def _run(self) -> None:
        while not await asyncio.to_thread(self._sink.take_over, self._name):
            self._report_liveness()
            await self._pause(self._lease_seconds / STANDBY_ASKS)
            if self._stop.is_set():
                return
        logger.info("lease taken", network=self._name, checkpoint=self._sink.checkpoint.block)
        await self._follow_with_lease()

    async def _follow_with_lease(self) -> None:
        following = asyncio.create_task(self._follow(), name="follow")
        renewing = asyncio.create_task(self._renew_lease_loop(), name="keep")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({following, renewing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if renewing.done():
                await renewing
            await following
            await asyncio.to_thread(self._sink.close)
        finally:
            for task in (following, renewing, stopping):
                task.cancel()
            await asyncio.gather(following, renewing, stopping, return_exceptions=True)

    async def _renew_lease_loop(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            await asyncio.to_thread(self._sink.renew_lease)

    async def _follow(self) -> None:
        await self._reload_contracts()
        failures, forked = 0, False
        try:
            while not self._stop.is_set():
                try:
                    if forked:
                        await self._reorganise()
                        await self._reload_contracts()
                        forked = False
                    elif self._sink.checkpoint.block is None:
                        await self._begin()
                    elif not self._processor.restored:
                        forked = not await self._processor.restore(
                            self._sink.checkpoint, self._ranges, self._network.finality_depth
                        )
                    elif await self._backfilled():
                        await self._advance()
                    failures = 0
                except _Forked:
                    forked = True
                except SourceError as error:
                    if isinstance(error, RangeTooLarge) and self._ranges.size > 1:
                        self._ranges.record_refusal(self._ranges.size, error.suggested)
                        continue
                    failures += 1
                    delay = backoff(error, failures, self._block_seconds)
                    logger.warning("source failed", network=self._name, error=str(error), retry_in=round(delay, 2))
                    self._report_liveness()
                    await self._pause(delay)
            await self._processor.close()
        finally:
            await self._source.close()

    async def _backfilled(self) -> bool:
        """Run the backfill, if it is unfinished. Return True if there was none left to run."""
        done, last = self._sink.checkpoint.block, self._sink.backfill_to
        assert done is not None
        if done >= last:
            return True
        backfill = Backfill(
            self._name,
            self._source,
            self._sink,
            self._processor,
            self._ranges,
            self._network.backfill.parallel,
            self._block_seconds,
            self._metrics,
            self._report_liveness,
        )
        await backfill.run(last, self._stop.is_set)
        return False

    async def _begin(self) -> None:
        """Save the first block of a network without a checkpoint. Raise `ConfigError` if it must have a checkpoint."""
        start, head = self._network.start_block, await self._source.head()
        if start == "checkpoint":
            raise ConfigError(
                f'network {self._name}: start_block is "checkpoint", but these tables have no checkpoint of it; set '
                'start_block to a block number or to "latest"'
            )
        first = head + 1 if start == "latest" else start
        # Blocks that may still be undone must be in the event log, so that their events can be retracted.
        final = head - self._network.finality_depth
        backfill_to = first - 1 if self._network.backfill.deliver else max(final, first - 1)
        await asyncio.to_thread(self._sink.start_after, first - 1, backfill_to)

    async def _advance(self) -> None:
        """Wait for a new block, and process the next range of blocks."""
        last_done = self._sink.checkpoint.block
        assert last_done is not None
        head = await self._head_after(last_done + self._network.confirmations)
        self._report_liveness()
        self._metrics.observe_head(head)
        self._sink.observe_head(head)
        self._metrics.print_when_due()
        woken = time.time()
        last = min(head - self._network.confirmations, last_done + self._ranges.size)
        if last <= last_done:
            if head == last_done:
                await self._check_tip()
            return
        started = perf_counter()
        # Blocks that may still be undone are read with their headers, and each is checked against its parent.
        final = head - self._network.finality_depth
        linked = last_done >= final
        last = min(last, last_done + MAX_LINKED if linked else final)
        blocks = await self._source.blocks(last_done + 1, last, self._processor.wanted, linked=linked)
        self._ranges.record_response(last - last_done, sum(len(block.logs) for block in blocks))
        fetched = (perf_counter() - started) * 1000
        self._check_branch(blocks[0])
        for block in blocks:
            await self._process_block(block, woken, fetched)
            if self._stop.is_set():
                return

    async def _head_after(self, block: int) -> int:
        """Wait for a head beyond `block` and return it; return `block` if the listener is stopped meanwhile."""
        waiting = asyncio.create_task(self._source.head_after(block))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return await waiting if waiting.done() else block
        finally:
            for task in (waiting, stopping):
                task.cancel()
            await asyncio.gather(waiting, stopping, return_exceptions=True)

    async def _process_block(self, block: Block, woken: float, fetched: float) -> None:
        started = perf_counter()
        discovered = await self._processor.discover_contracts([block])
        asked = perf_counter()
        (events,) = await self._processor.process([block], self._network.finality_depth)
        if not events:
            await asyncio.to_thread(self._sink.skip, block, discovered)
            self._metrics.count_written(block.number, block.timestamp, 0)
            return
        batch = make_batch(self._name, self._sink.checkpoint.seq + 1, block, events)
        decoded = (perf_counter() - asked) * 1000
        # Shielded from cancellation: half a write is safe, but makes the next start recover as after a crash.
        steps = await asyncio.shield(asyncio.to_thread(self._sink.write, batch, discovered))
        self._metrics.count_written(block.number, block.timestamp, len(events))
        milliseconds = {"fetch": fetched, "learn": (asked - started) * 1000, "decode": decoded, **steps}
        await self._processor.snapshot_when_due()
        logger.info(
            "batch queued",
            correlation_id=batch.cursor,
            network=self._name,
            block=block.number,
            events=len(batch.events),
            woken=round(woken * 1000, 3),
            ms={name: round(value, 3) for name, value in milliseconds.items()},
        )

    async def _check_tip(self) -> None:
        """Raise `_Forked` if the newest block was replaced by another at the same height."""
        done = self._sink.checkpoint
        if done.block and done.block_hash and (await self._source.header(done.block)).hash != done.block_hash:
            raise _Forked

    def _check_branch(self, first: Block) -> None:
        done = self._sink.checkpoint
        if done.block_hash and done.block == first.number - 1 and done.block_hash != first.parent_hash:
            raise _Forked

    async def _reload_contracts(self) -> None:
        self._processor.reset_contracts(await asyncio.to_thread(lambda: list(self._sink.discoveries())))

    async def _reorganise(self) -> None:
        """Find the fork, undo everything after the common ancestor, and retract its events."""
        done = self._sink.checkpoint
        assert done.block is not None
        batches = live(self._sink.backwards(self._name))

        async def newest_first() -> AsyncIterator[tuple[Batch, list[Event]]]:
            while (discovered := await asyncio.to_thread(next, batches, None)) is not None:
                yield discovered

        fork = await find_fork(
            newest_first(),
            self._source.header,
            done.block,
            self._network.finality_depth,
            self._sink.backfill_to + 1,
        )
        self._processor.undo_to(fork.ancestor.number)
        await asyncio.shield(asyncio.to_thread(self._sink.retract, self._name, fork))
        self._metrics.count_reorganisation(done.block - fork.ancestor.number)
        logger.warning(
            "chain reorganised",
            network=self._name,
            block=done.block,
            back_to=fork.ancestor.number,
            retracted=len(fork.retracted),
        )

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stop.wait()
        except TimeoutError:
            pass
