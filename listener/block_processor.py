"""What blocks mean: contracts are learned, logs become events, and the market draws its conclusions from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from aws_lambda_powertools import Logger

from chaincast.eventlog.checkpoint import Checkpoint
from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Event
from listener.indexer import Indexer
from listener.learn import learn
from listener.market.engine import Kept, Market
from listener.market.store import MarketStore
from listener.sources.base import Block, LogFilter, Source
from listener.sources.ranges import RangeSize

logger = Logger(service="listener", child=True)


class Interpreter:
    """One network's indexer and market, in step: given every block once, in order, it tells the blocks' events."""

    def __init__(self, name: str, source: Source, make_indexer: Callable[[], Indexer], store: MarketStore) -> None:
        self._name = name
        self._source = source
        self._make_indexer = make_indexer
        self._indexer = make_indexer()
        self._store = store
        self._market: Market | None = None
        self._timestamp = 0
        self._keeping: tuple[Kept, asyncio.Task[None]] | None = None

    @property
    def wanted(self) -> Sequence[LogFilter]:
        """The logs that it reads."""
        return self._indexer.wanted

    @property
    def restored(self) -> bool:
        """Whether the market is at the checkpoint."""
        return self._market is not None

    def renew(self, contracts: Iterable[Discovery]) -> None:
        """Begin anew with what is known of contracts: these, and no others."""
        self._indexer = self._make_indexer()
        self._indexer.learn(contracts)

    async def restore(self, done: Checkpoint, ranges: RangeSize, finality_depth: int) -> bool:
        """Continue where the market was kept: what came between then and the checkpoint is read again.

        So many blocks under the checkpoint may still be undone.
        False: the chain is not the checkpoint's any more; to be asked again when that is settled.
        """
        assert done.block is not None
        market = await asyncio.to_thread(self._store.load, done.block)
        first = market.block + 1
        if first <= done.block:
            logger.info("market is read again", network=self._name, first=first, last=done.block)
        while first <= done.block:
            last = min(done.block, first + ranges.size - 1)
            blocks = await self._source.blocks(first, last, self.wanted, linked=False)
            ranges.answered(last - first + 1, sum(len(block.logs) for block in blocks))
            if last == done.block and done.block_hash and blocks[-1].hash != done.block_hash:
                return False
            await self._advance(market, blocks, finality_depth)
            first = last + 1
        self._market = market
        return True

    async def learn(self, blocks: Sequence[Block]) -> list[Discovery]:
        """What these blocks tell of contracts. Raises `SourceError`."""
        return await learn(self._indexer, blocks, self._source)

    async def interpret(self, blocks: Sequence[Block], finality_depth: int) -> list[tuple[Event, ...]]:
        """Each block's events. What they tell of contracts must have been learned.

        So many blocks under the newest may still be undone.
        """
        assert self._market is not None
        return await self._advance(self._market, blocks, finality_depth)

    async def _advance(self, market: Market, blocks: Sequence[Block], finality_depth: int) -> list[tuple[Event, ...]]:
        indexed = [self._indexer.index(block) for block in blocks]
        for reason in (reason for found in indexed for reason in found.undecodable):
            logger.warning("log passed over", network=self._name, reason=reason)
        told = []
        if len(blocks) > 1:  # all that is missing at once; what more there is to fetch, block by block
            events = [event for found in indexed for event in found.events]
            await self._fill(market, events, blocks[0].timestamp)
        for block, found in zip(blocks, indexed, strict=True):
            await self._fill(market, found.events, block.timestamp)
            told.append(market.advance(block.number, block.hash, block.timestamp, found.events))
            market.settle(block.number - finality_depth)
            self._timestamp = block.timestamp
        return told

    async def _fill(self, market: Market, events: Sequence[Event], timestamp: int) -> None:
        if market.missing(events, timestamp):
            await asyncio.to_thread(self._store.fill, market, events, timestamp)

    def undo_to(self, block: int) -> None:
        """Go back to what was after a block."""
        if self._market is not None:
            self._market.undo_to(block)

    async def keep_when_due(self) -> None:
        """Keep the market now and then, while blocks go on being read. What comes of it, the next call says."""
        market = self._market
        assert market is not None
        if self._keeping is not None:
            kept, task = self._keeping
            if task.done():
                self._keeping = None
                await task
                market.kept(kept, self._timestamp)
        elif self._store.due(market):
            self._begin_to_keep(market)

    async def close(self) -> None:
        """Keep the market, so that the next life need not read much again."""
        if self._market is None:
            return
        if self._keeping is None:
            self._begin_to_keep(self._market)
        assert self._keeping is not None
        await self._keeping[1]

    def _begin_to_keep(self, market: Market) -> None:
        kept = market.keep()
        self._keeping = kept, asyncio.create_task(asyncio.to_thread(self._store.write, kept), name="keep market")
