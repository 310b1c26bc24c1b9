"""How many blocks to ask for at once: pure. Halved where a provider refuses, grown again while answers stay short."""

from __future__ import annotations

AIM_LOGS = 5_000
"""Logs that an answer should not have many more of: some 5 MB, and what a provider refuses begins at 10,000."""

_GROWTH = 1.5


FIRST = 50
"""Blocks asked for at first, when nothing is known of how many logs they have."""


class RangeSize:
    """A number of blocks between 1 and `largest`."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._size = float(min(largest, FIRST))
        self._ceiling = float(largest)

    @property
    def size(self) -> int:
        return int(self._size)

    def answered(self, blocks: int, logs: int) -> None:
        """A range of `blocks` brought `logs`: grow if it was as long as allowed, shrink if it brought too much."""
        if logs > AIM_LOGS:
            self._size = max(1.0, min(self._size, blocks * AIM_LOGS / logs))
        elif blocks >= self.size:
            # What was refused is tried again, but only little by little.
            self._ceiling = min(self._largest, max(self._ceiling * 1.02, 1.0))
            self._size = min(self._size * _GROWTH + 1, self._ceiling)

    def refused(self, blocks: int, suggested: int | None = None) -> None:
        """A range of `blocks` was too long; the provider may have suggested another."""
        size = blocks / 2
        if suggested is not None and suggested < blocks:
            size = suggested
        self._size = max(1.0, min(self._size, size))
        self._ceiling = max(1.0, min(self._ceiling, blocks * 0.75, max(self._size * 1.5, 2.0)))
