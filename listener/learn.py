"""Asking contracts what adapters must know, and waiting after what a node did wrong."""

from __future__ import annotations

from collections.abc import Sequence
from random import uniform

from chaincast.errors import SourceError
from chaincast.model.discovered_contracts import Discovery
from listener.indexer import Indexer
from listener.sources.base import Block, Source
from listener.sources.faults import NotThere, Throttled

MAX_BACKOFF = 15.0


async def learn(indexer: Indexer, blocks: Sequence[Block], source: Source) -> list[Discovery]:
    """What these blocks tell of contracts: the indexer knows it then. Raises `SourceError`."""
    inquiry = indexer.inquire(blocks)
    try:
        calls = next(inquiry)
        while True:
            calls = inquiry.send(await source.read(calls))
    except StopIteration as end:
        found: list[Discovery] = end.value
    indexer.learn(found)
    return found


def backoff(error: SourceError, failures: int, block_seconds: float) -> float:
    """Seconds to wait after the n-th failure in a row; what a node asks for, where it asks."""
    if isinstance(error, Throttled) and error.retry_after is not None:
        return error.retry_after
    # What is not there yet will be soon.
    first = block_seconds / 8 if isinstance(error, NotThere) else 0.1
    return min(MAX_BACKOFF, first * 2.0 ** min(failures, 12)) * uniform(0.5, 1)  # noqa: S311 - jitter, no secret
