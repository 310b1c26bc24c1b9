"""The health score of an endpoint, from its errors, its latency and its distance to the newest head. Pure.

A lower score is better. The order of the configuration counts a little, so that the listener returns to the first
endpoint when that has recovered.
"""

from __future__ import annotations

from dataclasses import dataclass

HALF_LIFE_SECONDS = 20.0
"""Seconds after which an error has half its weight."""

RANK_PENALTY = 0.5
"""Score that each position in the order of the configuration adds."""

SWITCH_MARGIN = 0.3
"""Difference in score that is needed to leave a working endpoint. It is less than `RANK_PENALTY`."""

_LATENCY_WEIGHT = 0.2
"""Weight of the newest latency in the moving average."""


@dataclass(slots=True)
class EndpointHealth:
    """Recent errors, latency and head of one endpoint. Times are monotonic seconds."""

    rank: int
    """Position in the order of the configuration, from 0."""
    errors: float = 0.0
    latency: float = 0.0
    head: int = -1
    not_before: float = 0.0
    """Time before which the endpoint asked not to be called."""
    excluded_because: str = ""
    """Reason why the endpoint must never be used (it serves another chain); empty if it may be used."""
    _decayed_at: float = 0.0

    def record_success(self, seconds: float, now: float) -> None:
        """Record a call that took `seconds`."""
        self._decay(now)
        self.errors *= 0.7
        self.latency += _LATENCY_WEIGHT * (seconds - self.latency)

    def record_failure(self, now: float, *, weight: float = 1.0, retry_after: float | None = None) -> None:
        """Record a call that failed, or a response that contradicted another."""
        self._decay(now)
        self.errors += weight
        if retry_after is not None:
            self.not_before = max(self.not_before, now + retry_after)

    def score(self, best_head: int, block_seconds: float, now: float) -> float:
        """Return the score; lower is better. One block of delay is free: heads do not arrive everywhere at once."""
        self._decay(now)
        behind = max(0, best_head - self.head - 1) if self.head >= 0 else 0
        slowness = min(self.latency / max(block_seconds, 0.1), 1.0)
        waiting = 100.0 if now < self.not_before else 0.0
        return RANK_PENALTY * self.rank + self.errors + min(behind, 20) + slowness + waiting

    def _decay(self, now: float) -> None:
        if now > self._decayed_at:
            self.errors *= 0.5 ** ((now - self._decayed_at) / HALF_LIFE_SECONDS)
            self._decayed_at = now
