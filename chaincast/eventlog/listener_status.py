"""The status of a network's listener, as its own writes to State show it."""

from __future__ import annotations

from dataclasses import dataclass

LATE_SECONDS = 120
LATE_BLOCKS = 10
"""A listener is late when its newest processed block is older than both of these allow."""


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """A listener's lease and progress.

    `until`: end of the lease (s since 1970). `block`: newest processed block, None before the first. `head`: newest
    block of the chain that the listener knows. `block_time`: timestamp of `block` (s), 0 if unknown.
    """

    until: float = 0.0
    block: int | None = None
    head: int = 0
    block_time: int = 0

    def lag_blocks(self) -> int:
        """Return the number of known blocks that are not processed yet."""
        return max(self.head - self.block, 0) if self.block is not None else 0

    def lag_seconds(self, now: float) -> float:
        """Return the age of the newest processed block in seconds; 0 if it is unknown."""
        return max(now - self.block_time, 0.0) if self.block_time else 0.0

    def state(self, now: float, block_ms: int) -> str:
        """Return `ok`, `late`, or `silent` (no listener holds the lease)."""
        if self.until <= now:
            return "silent"
        allowed = max(LATE_SECONDS, LATE_BLOCKS * block_ms / 1000)
        return "late" if self.lag_seconds(now) > allowed else "ok"
