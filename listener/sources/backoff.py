"""Delays after failures of a node."""

from __future__ import annotations

from random import uniform

from chaincast.errors import SourceError
from listener.sources.faults import BlockUnavailable, Throttled

MAX_BACKOFF_SECONDS = 15.0


def backoff(error: SourceError, failures: int, block_seconds: float) -> float:
    """Return the seconds to wait after `failures` consecutive failures.

    A node's own `Retry-After` is respected. Otherwise the delay doubles with each failure, up to a maximum, with
    jitter.
    """
    if isinstance(error, Throttled) and error.retry_after is not None:
        return error.retry_after
    # A block that is not there yet is expected within a fraction of the block time.
    first = block_seconds / 8 if isinstance(error, BlockUnavailable) else 0.1
    return min(MAX_BACKOFF_SECONDS, first * 2.0 ** min(failures, 12)) * uniform(0.5, 1)  # noqa: S311 - jitter, no secret
