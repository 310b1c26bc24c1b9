"""The pace of posts: unlimited until API Gateway responds with 429, then adjusted by AIMD.

AIMD is additive increase, multiplicative decrease (Chiu and Jain, 1989). All shards of a stack share one quota whose
size they do not know, and by this rule each of them converges to its share. The decrease is proportional to the share
of posts that were refused, as in DCTCP (RFC 8257).

This module is pure: the caller passes its clock, in seconds, with each call.
"""

from __future__ import annotations

DECREASE = 0.5
"""Share by which the rate falls if every post of a round was refused, and at the first 429."""

INCREASE = 250.0
"""Posts per second by which the rate rises each second. The same value for all shards makes their shares even."""

ROUND = 0.2
"""Minimum seconds between two decreases. Posts in progress at a decrease say nothing about the lower rate."""

MIN_RATE = 5.0
FREE_AFTER = 30.0
"""Seconds without a 429 after which the limit is lifted."""

_BURST = 0.02


class Pace:
    """The rate of posts of one process."""

    def __init__(self) -> None:
        self.limited = False
        self.rate = 0.0
        """Maximum number of posts per second while `limited`."""
        self.posts = 0
        """Number of posts that API Gateway has accepted. The caller increases it."""
        self._tokens = 0.0
        self._at = 0.0
        self._lowered_at = 0.0
        self._round_posts = self._round_refused = 0
        self._ticked_at = 0.0
        self._ticked_posts = 0
        self._measured = 0.0

    def tick(self, now: float) -> None:
        """Measure the rate. The caller does this a few times per second while posts are in progress."""
        elapsed = now - self._ticked_at
        if elapsed > 0:
            self._measured = (self.posts - self._ticked_posts) / elapsed
        self._ticked_at, self._ticked_posts = now, self.posts

    def refused(self, now: float) -> None:
        """Lower the rate after a response with status 429."""
        if not self.limited:
            self.limited = True
            self._tokens, self._at = 0.0, now
            self._lower(now, self._fastest(now) * (1 - DECREASE))
            return
        self._round_refused += 1
        if now - self._lowered_at >= ROUND:
            posts = self.posts - self._round_posts
            share = self._round_refused / (self._round_refused + posts)
            self._lower(now, self.rate * (1 - DECREASE * share))

    def _lower(self, now: float, rate: float) -> None:
        self.rate = max(MIN_RATE, rate)
        self._lowered_at = now
        self._round_posts, self._round_refused = self.posts, 0

    def wait(self, now: float) -> float:
        """Return the seconds to wait before the next post. 0: send it now; it is counted."""
        elapsed, self._at = now - self._at, now
        if now - self._lowered_at >= FREE_AFTER:
            self.limited = False
            return 0.0
        self.rate += INCREASE * elapsed
        self._tokens = min(max(1.0, self.rate * _BURST), self._tokens + self.rate * elapsed)
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self.rate

    def _fastest(self, now: float) -> float:
        """Return the posts per second since the last tick or before it, whichever is higher."""
        elapsed = max(now - self._ticked_at, ROUND)
        return max((self.posts - self._ticked_posts) / elapsed, self._measured)
