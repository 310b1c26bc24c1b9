"""The polling schedule of an endpoint that cannot push heads, derived from the arrival times of its blocks. Pure."""

from __future__ import annotations

_WEIGHT = 0.2
"""Weight of the newest block time in the moving average."""

_POLLS_PER_BLOCK = 8
"""Polls per block time once a block is due: on average, a block is noticed a sixteenth of a block time late."""

MIN_INTERVAL_SECONDS = 0.05
MAX_INTERVAL_SECONDS = 2.0


class PollSchedule:
    """Estimate of a chain's block time, and of the time of its next block.

    `block_seconds` is the configured block time. The estimate begins with it and follows the observed blocks.
    """

    def __init__(self, block_seconds: float) -> None:
        self._nominal = block_seconds
        self.block_seconds = block_seconds
        self._head = -1
        self._head_at = 0.0
        """Time at which the newest head was first observed (monotonic seconds)."""

    def observe_head(self, number: int, now: float) -> None:
        """Update the estimate with the head `number`, observed at `now` (monotonic seconds)."""
        if number <= self._head:
            return
        if self._head >= 0:
            seconds_per_block = (now - self._head_at) / (number - self._head)
            # A pause of an idle chain or of a broken connection is not a block time, so it is ignored.
            if seconds_per_block < 5 * max(self.block_seconds, self._nominal):
                self.block_seconds += _WEIGHT * (seconds_per_block - self.block_seconds)
        self._head, self._head_at = number, now

    def seconds_to_next_poll(self, now: float) -> float:
        """Return the seconds until the next poll."""
        step = min(max(self.block_seconds / _POLLS_PER_BLOCK, MIN_INTERVAL_SECONDS), MAX_INTERVAL_SECONDS)
        due = self._head_at + self.block_seconds * 0.95 if self._head >= 0 else now
        return max(step, due - now)
