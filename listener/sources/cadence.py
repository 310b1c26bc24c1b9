"""When to ask an endpoint that pushes nothing for its head: pure. Learned from when its blocks came."""

from __future__ import annotations

_WEIGHT = 0.2
_SHARE = 8
"""Polls per block time once a block is due: on average it is noticed a sixteenth of a block time late."""

SHORTEST = 0.05
LONGEST = 2.0


class Cadence:
    """`block_seconds`: what the chain's block time should be, until it is known better."""

    def __init__(self, block_seconds: float) -> None:
        self._nominal = block_seconds
        self.block_seconds = block_seconds
        self._head = -1
        self._at = 0.0
        """When the head came that is known now (monotonic s)."""

    def head(self, number: int, now: float) -> None:
        """The head is `number`."""
        if number <= self._head:
            return
        if self._head >= 0:
            each = (now - self._at) / (number - self._head)
            # A pause is no block time: what an idle chain or a broken connection did is not learned from.
            if each < 5 * max(self.block_seconds, self._nominal):
                self.block_seconds += _WEIGHT * (each - self.block_seconds)
        self._head, self._at = number, now

    def wait(self, now: float) -> float:
        """Seconds until it is worth asking again."""
        step = min(max(self.block_seconds / _SHARE, SHORTEST), LONGEST)
        due = self._at + self.block_seconds * 0.95 if self._head >= 0 else now
        return max(step, due - now)
