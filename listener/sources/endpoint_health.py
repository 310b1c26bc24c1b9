"""How well an endpoint does, as a number: pure. Its errors, how far its head is behind, how long it takes.

The less, the better. The order of the configuration counts a little, so that the first is come back to when it is well.
"""

from __future__ import annotations

from dataclasses import dataclass

HALF_LIFE = 20.0
"""Seconds after which an error counts half."""

PLACE = 0.5
MARGIN = 0.3
"""How much better another must be to be changed to while the present one works: less than a place in the order."""

_WEIGHT = 0.2


@dataclass(slots=True)
class Standing:
    """One endpoint's record. Times are monotonic seconds."""

    place: int
    errors: float = 0.0
    latency: float = 0.0
    head: int = -1
    not_before: float = 0.0
    """Until when it asked to be left alone."""
    wrong: str = ""
    """Why it must never be used (it serves another chain), if it must not."""
    _at: float = 0.0

    def succeeded(self, seconds: float, now: float) -> None:
        """A call was answered in so many seconds."""
        self._decay(now)
        self.errors *= 0.7
        self.latency += _WEIGHT * (seconds - self.latency)

    def failed(self, now: float, *, weight: float = 1.0, retry_after: float | None = None) -> None:
        """A call failed, or its answer contradicted another."""
        self._decay(now)
        self.errors += weight
        if retry_after is not None:
            self.not_before = max(self.not_before, now + retry_after)

    def score(self, best_head: int, block_seconds: float, now: float) -> float:
        """How badly it does. One block behind is nothing: heads do not arrive everywhere at once."""
        self._decay(now)
        behind = max(0, best_head - self.head - 1) if self.head >= 0 else 0
        slow = min(self.latency / max(block_seconds, 0.1), 1.0)
        waiting = 100.0 if now < self.not_before else 0.0
        return PLACE * self.place + self.errors + min(behind, 20) + slow + waiting

    def _decay(self, now: float) -> None:
        if now > self._at:
            self.errors *= 0.5 ** ((now - self._at) / HALF_LIFE)
            self._at = now
