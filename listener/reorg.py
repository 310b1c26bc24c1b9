"""Where a reorganised chain and what was written of it part ways: pure, but for asking the node for headers.

The Log alone says what is to be taken back: going through it from the newest batch, whatever is not retracted already
and stands in a block that the node does not have (any more). The newest batch whose block it still has ends the walk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from chaincast.errors import ForkDetected
from chaincast.model.batches import Batch
from chaincast.model.events import Event
from listener.sources.base import Block


@dataclass(frozen=True, slots=True)
class Fork:
    """The newest block known to be common, and the events behind it that are to be taken back, newest first.

    `timestamp` (ms) is that of the newest block taken back, so that the retraction is the same whenever it is written.
    """

    ancestor: Block
    retracted: tuple[Event, ...]
    timestamp: int


def live(newest_first: Iterable[Batch]) -> Iterator[tuple[Batch, list[Event]]]:
    """Each batch that has events which no later batch retracted, and those, newest first."""
    gone: set[str] = set()
    for batch in newest_first:
        gone.update(retraction.id for retraction in batch.retracted)
        if left := [event for event in reversed(batch.events) if event.id not in gone]:
            yield batch, left


async def find_fork(
    newest_first: AsyncIterator[tuple[Batch, list[Event]]],
    header: Callable[[int], Awaitable[Block]],
    checkpoint: int,
    finality_depth: int,
    origin: int,
) -> Fork:
    """The fork under `checkpoint` (a block number). `newest_first` as of `live`; `origin`: the first block ever told.

    Blocks that brought nothing are not in the Log, and on another branch they may bring something: from the newest
    batch that is common, or as deep as may be, everything is read again.

    Raises `ForkDetected` if what is to be taken back is deeper than `finality_depth`: that needs a person.
    """
    retracted: list[Event] = []
    timestamp = 0
    lowest = max(checkpoint - finality_depth, origin - 1, 0)
    async for batch, events in newest_first:
        assert batch.block is not None
        found = await header(batch.block)
        if found.hash == batch.block_hash:
            lowest = max(lowest, batch.block)
            break
        if batch.block < checkpoint - finality_depth:
            raise ForkDetected(
                f"{batch.source}: block {batch.block} was {batch.block_hash} when it was read and is {found.hash} now: "
                f"the chain was reorganised deeper than finality_depth ({finality_depth} blocks under {checkpoint})"
            )
        retracted += events
        timestamp = timestamp or batch.timestamp
    return Fork(await header(max(lowest, 0)), tuple(retracted), timestamp)
