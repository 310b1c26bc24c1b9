"""The number of blocks to request at once. It is halved if a provider refuses, and grows while responses are short.

Pure.
"""

from __future__ import annotations

TARGET_LOGS = 5_000
"""Number of logs that a response should have at most: about 5 MB. Providers begin to refuse at 10,000 logs."""

_GROWTH = 1.5

INITIAL_BLOCKS = 50
"""Size of the first range, when the number of logs per block is unknown."""


class RangeSize:
    """A number of blocks between 1 and `largest`."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._size = float(min(largest, INITIAL_BLOCKS))
        self._ceiling = float(largest)

    @property
    def size(self) -> int:
        """The number of blocks to request next."""
        return int(self._size)

    def record_response(self, blocks: int, logs: int) -> None:
        """Adapt to a range of `blocks` that had `logs`: grow if it had full size, shrink if it had too many logs."""
        if logs > TARGET_LOGS:
            self._size = max(1.0, min(self._size, blocks * TARGET_LOGS / logs))
        elif blocks >= self.size:
            # A size that was refused is tried again, but the ceiling grows only slowly.
            self._ceiling = min(self._largest, max(self._ceiling * 1.02, 1.0))
            self._size = min(self._size * _GROWTH + 1, self._ceiling)

    def record_refusal(self, blocks: int, suggested: int | None = None) -> None:
        """Shrink after the provider refused a range of `blocks`; it may have suggested another size."""
        size = blocks / 2
        if suggested is not None and suggested < blocks:
            size = suggested
        self._size = max(1.0, min(self._size, size))
        self._ceiling = max(1.0, min(self._ceiling, blocks * 0.75, max(self._size * 1.5, 2.0)))
