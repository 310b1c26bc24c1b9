"""The search for the fork after a reorganisation. Its only I/O is requests for block headers.

The search goes through the event log from the newest batch. Events of blocks that the node no longer has must be
retracted, unless they already were. The first batch whose block the node still has ends the search.
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
    """The newest common block, and the events after it that must be retracted, newest first.

    `timestamp` (ms) is that of the newest retracted block, so that a retraction repeated after a crash is the same.
    """

    ancestor: Block
    retracted: tuple[Event, ...]
    timestamp: int


def live(newest_first: Iterable[Batch]) -> Iterator[tuple[Batch, list[Event]]]:
    """Yield each batch that has events which no later batch retracted, with those events, newest first."""
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
    """Return the fork at or below block `checkpoint`. Raise `ForkDetected` if it is deeper than `finality_depth`.

    `newest_first`: batches and events as `live` yields them. `origin`: first block that was processed.

    Blocks without events are not in the event log, but other branches may have events in these blocks. The listener
    therefore reads again from the newest common batch, or from `finality_depth` blocks below the checkpoint if that
    batch is older or there is none.
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
