from __future__ import annotations

from collections.abc import Iterable

from chaincast.eventlog.checkpoint import Checkpoint
from chaincast.model.events import Event
from listener.block_processor import BlockProcessor
from listener.indexer import Indexed
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore
from listener.sources.base import Block
from listener.sources.ranges import RangeSize
from tests.unit.listener.market.test_engine import START, Memory, trade

DEPTH = 6


class Chain:
    """A source, and an indexer: each block brings one trade, of the branch that is asked for."""

    wanted = ()

    def __init__(self) -> None:
        self.values = [0, *(10**18 for _ in range(20))]

    def block(self, number: int) -> Block:
        return Block(number, f"0x{self.values[number]:032x}{number:032x}", "", START + number)

    async def blocks(self, first: int, last: int, wanted: object, *, linked: bool) -> list[Block]:
        return [self.block(number) for number in range(first, last + 1)]

    def index(self, block: Block) -> Indexed:
        return Indexed((trade(block.number, block.timestamp, self.values[block.number]),), ())

    def add_contracts(self, contracts: Iterable[object]) -> None:
        pass


def processor(chain: Chain, memory: Memory) -> BlockProcessor:
    store = MarketStore(memory, "anvil", MarketSettings())  # type: ignore[arg-type]  # as good as the real one
    return BlockProcessor("anvil", chain, lambda: chain, store)  # type: ignore[arg-type,return-value]  # the parts that are used


def volume(told: tuple[Event, ...]) -> int:
    return int(str(told[-1].data["volume_24h"]))


async def test_what_was_read_again_after_a_restart_can_still_be_undone() -> None:
    chain, memory = Chain(), Memory()
    first = processor(chain, memory)
    assert await first.restore(Checkpoint(block=0), RangeSize(50), DEPTH)
    for number in range(1, 11):
        (told,) = await first.process([chain.block(number)], DEPTH)
    assert volume(told) == 10 * 10**18

    second = processor(chain, memory)
    assert await second.restore(Checkpoint(block=10, block_hash=chain.block(10).hash), RangeSize(50), DEPTH)
    second.undo_to(7)
    chain.values[8:11] = [5, 6, 7]
    for number in range(8, 11):
        (told,) = await second.process([chain.block(number)], DEPTH)
    assert volume(told) == 7 * 10**18 + 18


async def test_another_branch_than_the_checkpoints_is_not_read() -> None:
    chain, memory = Chain(), Memory()
    assert await processor(chain, memory).restore(Checkpoint(block=0), RangeSize(50), DEPTH)
    restarted = processor(chain, memory)
    assert not await restarted.restore(Checkpoint(block=10, block_hash="0xother"), RangeSize(50), DEPTH)
    assert not restarted.restored
