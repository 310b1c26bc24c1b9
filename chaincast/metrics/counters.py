"""What functions count, and when it goes on record: often enough that a crash loses less than a hundredth of it.

A function's process keeps its counts until they amount to more than `TOLERANCE` of what it has on record, or are
`MAX_AGE` seconds old; so a process that counts its first things writes each of them, and one that has counted a million
writes once for ten thousand. Processes that end without a word (Lambda tells none) lose at most that share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

TOLERANCE = 0.01
MAX_AGE = 10.0

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a latency histogram, in seconds; what is slower counts under `INFINITE` alone."""

INFINITE = "+Inf"
BOUND = "le"
SUM = "sum"
"""The label of a histogram's bounds, and the one under which its sum (ms) is kept."""


def series(name: str, labels: Mapping[str, str]) -> str:
    """What a count is kept under: `name|label=value|…`, labels in order of their names."""
    return "|".join((name, *(f"{label}={_plain(labels[label])}" for label in sorted(labels))))


def parse_series(text: str) -> tuple[str, dict[str, str]]:
    """The name and the labels of a series."""
    name, *labels = text.split("|")
    return name, dict(label.partition("=")[::2] for label in labels)


def total(counts: Mapping[str, int], name: str) -> int:
    """The sum of all series of a name."""
    return sum(count for key, count in counts.items() if parse_series(key)[0] == name)


def bucket(seconds: float) -> str:
    """The bound that an observation counts under: the smallest that it does not exceed."""
    return next((f"{bound:g}" for bound in LATENCY_BUCKETS if seconds <= bound), INFINITE)


class Pending:
    """The counts of one process that are not on record yet."""

    def __init__(self) -> None:
        self._pending: Counter[str] = Counter()
        self._recorded: Counter[str] = Counter()
        self._oldest: float | None = None

    def add(self, key: str, value: int, now: float) -> None:
        """Count something under a series; `now` in seconds of a clock that only goes forward."""
        if value:
            self._pending[key] += value
            self._oldest = now if self._oldest is None else self._oldest

    def due(self, now: float) -> dict[str, int]:
        """All that is pending, if it is time to write it down; nothing, if not."""
        if self._oldest is None:
            return {}
        late = now - self._oldest >= MAX_AGE
        if late or any(value > TOLERANCE * self._recorded[key] for key, value in self._pending.items()):
            return dict(self._pending)
        return {}

    def written(self, counts: Mapping[str, int]) -> None:
        """These are on record now."""
        self._recorded.update(counts)
        self._pending.subtract(counts)
        self._pending += Counter()  # without those that are nought
        if not self._pending:
            self._oldest = None


def _plain(value: str) -> str:
    return value.replace("|", "_").replace("=", "_")
