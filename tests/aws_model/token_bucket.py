"""A token bucket, by which AWS limits requests per second and allows bursts."""

from __future__ import annotations


class TokenBucket:
    """Up to `burst` tokens, filled at `rate` tokens per second. It is full at time `now`."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float, tokens: float = 1.0) -> bool:
        """Take tokens. Return False if there are too few; more than `burst` need a full bucket."""
        self._tokens = min(self.burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < min(tokens, self.burst):
            return False
        self._tokens -= tokens
        return True
