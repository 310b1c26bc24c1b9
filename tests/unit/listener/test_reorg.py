from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import ForkDetected
from chaincast.model.batches import Batch, Retraction
from chaincast.model.events import Event
from listener.reorg import Fork, find_fork, live
from listener.sources.base import Block
from tests.factories import make_event


def block(number: int, branch: int) -> Block:
    return Block(number, f"0x{branch:04d}{number:04d}", "", 1000 + number)


class Chain:
    """A chain that is written to a Log and forks now and then, as the listener would write it."""

    def __init__(self) -> None:
        self.branches = [0]
        """The branch that each block is of."""
        self.log: list[Batch] = []
        self.branch = 0

    def header(self, number: int) -> Block:
        return block(number, self.branches[number])

    def grow(self, with_events: list[bool]) -> None:
        for has in with_events:
            number = len(self.branches)
            self.branches.append(self.branch)
            if has:
                event = Event(**{**vars_of(make_event(0, block=number)), "id": f"{self.branch}.{number}"})  # type: ignore[arg-type]  # the same fields
                head = self.header(number)
                self.append((event,), (), head)

    def append(self, events: tuple[Event, ...], retracted: tuple[Retraction, ...], at: Block) -> None:
        self.log.append(
            Batch(
                source="anvil",
                seq=len(self.log) + 1,
                timestamp=at.timestamp * 1000,
                events=events,
                retracted=retracted,
                block=at.number,
                block_hash=at.hash,
            )
        )

    def fork(self, depth: int) -> None:
        """Replace the newest blocks by those of another branch, with nothing in them."""
        self.branch += 1
        for number in range(max(1, len(self.branches) - depth), len(self.branches)):
            self.branches[number] = self.branch

    def find(self, finality_depth: int = 1000) -> Fork:
        async def newest_first() -> AsyncIterator[tuple[Batch, list[Event]]]:
            for found in live(reversed(self.log)):
                yield found

        async def header(number: int) -> Block:
            return self.header(number)

        return asyncio.run(find_fork(newest_first(), header, len(self.branches) - 1, finality_depth, 0))

    def held(self) -> list[str]:
        held: list[str] = []
        for batch in self.log:
            for retraction in batch.retracted:
                held.remove(retraction.id)
            held += [event.id for event in batch.events]
        return held


def vars_of(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__slots__}


def test_without_a_fork_nothing_is_taken_back() -> None:
    chain = Chain()
    chain.grow([True, False, True, False])
    assert chain.find() == Fork(chain.header(3), (), 0)


def test_what_is_not_on_the_chain_is_taken_back_newest_first() -> None:
    chain = Chain()
    chain.grow([True, True, False, True])
    chain.fork(3)
    fork = chain.find()
    assert fork.ancestor == chain.header(1)
    assert [event.id for event in fork.retracted] == ["0.4", "0.2"]
    assert fork.timestamp == (1000 + 4) * 1000


def test_what_was_taken_back_before_is_not_taken_back_again() -> None:
    chain = Chain()
    chain.grow([True, True, True])
    chain.fork(1)
    fork = chain.find()
    chain.append((), tuple(Retraction(e.id, e.topics) for e in fork.retracted), fork.ancestor)
    assert chain.find().retracted == ()


def test_deeper_than_finality_is_refused() -> None:
    chain = Chain()
    chain.grow([True] * 6)
    chain.fork(4)
    with pytest.raises(ForkDetected, match="block 3 was 0x00000003 when it was read and is 0x00010003 now"):
        chain.find(finality_depth=2)
    assert len(chain.find(finality_depth=3).retracted) == 4


@given(st.lists(st.tuples(st.lists(st.booleans(), max_size=6), st.integers(0, 8)), max_size=12))
def test_the_log_folded_is_always_the_chain(steps: list[tuple[list[bool], int]]) -> None:
    chain = Chain()
    for growth, depth in steps:
        chain.grow(growth)
        chain.fork(depth)
        fork = chain.find()
        if fork.retracted:
            chain.append((), tuple(Retraction(e.id, e.topics) for e in fork.retracted), fork.ancestor)
        on_chain = {f"{branch}.{number}" for number, branch in enumerate(chain.branches)}
        assert set(chain.held()) <= on_chain
        # Nothing on the chain was taken back, and what is read again begins where nothing of the chain stands yet.
        told = {e.id for b in chain.log for e in b.events}
        assert set(chain.held()) == told & on_chain
        assert all(int(held.split(".")[1]) <= fork.ancestor.number for held in chain.held())
