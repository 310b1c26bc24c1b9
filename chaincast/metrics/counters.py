"""Counters of a function's process, and the rule for when they are written to the State table.

A process keeps its counts until they exceed `TOLERANCE` of what it has written before, or are `MAX_AGE` seconds old. A
new process therefore writes each of its first counts, and one that has counted a million writes once per ten thousand.
Lambda ends processes without notice; a process that ends loses at most that share.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

TOLERANCE = 0.01
MAX_AGE = 10.0

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of a latency histogram's buckets, in seconds. Slower observations count only under `INFINITE`."""

INFINITE = "+Inf"
BOUND = "le"
SUM = "sum"
"""The label of a histogram's bounds, and the label under which its sum (ms) is stored."""


def series(name: str, labels: Mapping[str, str]) -> str:
    """Return the key of a count: `name|label=value|…`, with the labels in the order of their names."""
    return "|".join((name, *(f"{label}={_plain(labels[label])}" for label in sorted(labels))))


def parse_series(text: str) -> tuple[str, dict[str, str]]:
    """Return the name and the labels of a series."""
    name, *labels = text.split("|")
    return name, dict(label.partition("=")[::2] for label in labels)


def total(counts: Mapping[str, int], name: str) -> int:
    """Return the sum of all series of a name."""
    return sum(count for key, count in counts.items() if parse_series(key)[0] == name)


def bucket(seconds: float) -> str:
    """Return the bound under which an observation counts: the smallest that it does not exceed."""
    return next((f"{bound:g}" for bound in LATENCY_BUCKETS if seconds <= bound), INFINITE)


class Pending:
    """The counts of one process that are not written yet."""

    def __init__(self) -> None:
        self._pending: Counter[str] = Counter()
        self._recorded: Counter[str] = Counter()
        self._oldest: float | None = None

    def add(self, key: str, value: int, now: float) -> None:
        """Add to the count of a series. `now`: seconds of a monotonic clock."""
        if value:
            self._pending[key] += value
            self._oldest = now if self._oldest is None else self._oldest

    def due(self, now: float) -> dict[str, int]:
        """Return all pending counts if it is time to write them, or an empty dictionary."""
        if self._oldest is None:
            return {}
        late = now - self._oldest >= MAX_AGE
        if late or any(value > TOLERANCE * self._recorded[key] for key, value in self._pending.items()):
            return dict(self._pending)
        return {}

    def written(self, counts: Mapping[str, int]) -> None:
        """Note that these counts have been written."""
        self._recorded.update(counts)
        self._pending.subtract(counts)
        self._pending += Counter()  # drops the counts that are zero
        if not self._pending:
            self._oldest = None


def _plain(value: str) -> str:
    return value.replace("|", "_").replace("=", "_")
