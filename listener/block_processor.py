"""Processing of blocks: contracts are discovered, logs are decoded, and the market derives prices and alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from aws_lambda_powertools import Logger

from chaincast.eventlog.checkpoint import Checkpoint
from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Event
from listener.indexer import Indexer
from listener.market.engine import Market, Snapshot
from listener.market.store import MarketStore
from listener.sources.base import Block, LogFilter, Source
from listener.sources.ranges import RangeSize

logger = Logger(service="listener", child=True)


class BlockProcessor:
    """The indexer and the market of one network. It processes every block once, in order, and returns its events."""

    def __init__(self, name: str, source: Source, make_indexer: Callable[[], Indexer], store: MarketStore) -> None:
        self._name = name
        self._source = source
        self._make_indexer = make_indexer
        self._indexer = make_indexer()
        self._store = store
        self._market: Market | None = None
        self._timestamp = 0
        self._saving: tuple[Snapshot, asyncio.Task[None]] | None = None

    @property
    def wanted(self) -> Sequence[LogFilter]:
        """Filters for the logs that the adapters need."""
        return self._indexer.wanted

    @property
    def restored(self) -> bool:
        """True once the market has reached the checkpoint."""
        return self._market is not None

    def reset_contracts(self, contracts: Iterable[Discovery]) -> None:
        """Replace all discovered contracts by these."""
        self._indexer = self._make_indexer()
        self._indexer.add_contracts(contracts)

    async def restore(self, done: Checkpoint, ranges: RangeSize, finality_depth: int) -> bool:
        """Load the market's snapshot, and read the blocks between it and the checkpoint again.

        `finality_depth`: number of newest blocks that a reorganisation may still undo.
        Return False if the chain no longer has the checkpoint's block; call again after the reorganisation.
        """
        assert done.block is not None
        market = await asyncio.to_thread(self._store.load, done.block)
        first = market.block + 1
        if first <= done.block:
            logger.info("market is read again", network=self._name, first=first, last=done.block)
        while first <= done.block:
            last = min(done.block, first + ranges.size - 1)
            blocks = await self._source.blocks(first, last, self.wanted, linked=False)
            ranges.record_response(last - first + 1, sum(len(block.logs) for block in blocks))
            if last == done.block and done.block_hash and blocks[-1].hash != done.block_hash:
                return False
            await self._advance(market, blocks, finality_depth)
            first = last + 1
        self._market = market
        return True

    async def discover_contracts(self, blocks: Sequence[Block]) -> list[Discovery]:
        """Find the contracts that these blocks created, and follow them from now on.

        The adapters' generators yield reads of contracts, which are executed together. Raise `SourceError`.
        """
        reads = self._indexer.contract_reads(blocks)
        try:
            calls = next(reads)
            while True:
                calls = reads.send(await self._source.read(calls))
        except StopIteration as end:
            discovered: list[Discovery] = end.value
        self._indexer.add_contracts(discovered)
        return discovered

    async def process(self, blocks: Sequence[Block], finality_depth: int) -> list[tuple[Event, ...]]:
        """Return the events of each block. `discover_contracts` must have been called for these blocks.

        `finality_depth`: number of newest blocks that a reorganisation may still undo.
        """
        assert self._market is not None
        return await self._advance(self._market, blocks, finality_depth)

    async def _advance(self, market: Market, blocks: Sequence[Block], finality_depth: int) -> list[tuple[Event, ...]]:
        indexed = [self._indexer.index(block) for block in blocks]
        for reason in (reason for block_events in indexed for reason in block_events.undecodable):
            logger.warning("log skipped", network=self._name, reason=reason)
        processed = []
        if len(blocks) > 1:  # one read for all blocks; the rest is loaded block by block
            events = [event for block_events in indexed for event in block_events.events]
            await self._fill(market, events, blocks[0].timestamp)
        for block, block_events in zip(blocks, indexed, strict=True):
            await self._fill(market, block_events.events, block.timestamp)
            processed.append(market.advance(block.number, block.hash, block.timestamp, block_events.events))
            market.finalize(block.number - finality_depth)
            self._timestamp = block.timestamp
        return processed

    async def _fill(self, market: Market, events: Sequence[Event], timestamp: int) -> None:
        if market.missing(events, timestamp):
            await asyncio.to_thread(self._store.fill, market, events, timestamp)

    def undo_to(self, block: int) -> None:
        """Restore the state after a block."""
        if self._market is not None:
            self._market.undo_to(block)

    async def snapshot_when_due(self) -> None:
        """Save a snapshot of the market in the background from time to time, while blocks are processed.

        An error of the previous snapshot's write is raised here, by the first call after it.
        """
        market = self._market
        assert market is not None
        if self._saving is None:
            if self._store.due(market):
                self._begin_snapshot(market)
            return
        snapshot, task = self._saving
        if task.done():
            self._saving = None
            await task
            market.snapshot_saved(snapshot, self._timestamp)

    async def close(self) -> None:
        """Save a last snapshot, so that the next start has few blocks to read again."""
        if self._market is None:
            return
        if self._saving is None:
            self._begin_snapshot(self._market)
        assert self._saving is not None
        await self._saving[1]

    def _begin_snapshot(self, market: Market) -> None:
        snapshot = market.take_snapshot()
        write = asyncio.to_thread(self._store.write, snapshot)
        self._saving = snapshot, asyncio.create_task(write, name="save market snapshot")
