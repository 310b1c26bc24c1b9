"""How fast to post: as fast as can be, until API Gateway says 429; then additive increase, multiplicative decrease.

All shards of a stack share one quota that none of them knows, and each finds its share of it by this rule (AIMD: Chiu
and Jain, 1989). The decrease follows the share of posts that were refused (as DCTCP's does, RFC 8257): one in a hundred
is a hint, one in two an order. Pure: the caller's clock, in seconds, comes with each call.
"""

from __future__ import annotations

DECREASE = 0.5
"""By this share the rate falls when every post of a round was refused, and at the first 429."""

INCREASE = 250.0
"""Posts per second, each second: the same for all, which is what makes their shares even."""

ROUND = 0.2
"""Seconds after which the rate is lowered again: those under way when it was say nothing about the lower rate."""

MIN_RATE = 5.0
FREE_AFTER = 30.0
"""Seconds without a 429 after which there is no limit again."""

_BURST = 0.02


class Pace:
    """The rate of one process."""

    def __init__(self) -> None:
        self.limited = False
        self.rate = 0.0
        """Posts per second, while `limited`."""
        self.posts = 0
        """Posts accepted so far; the caller counts them here."""
        self._tokens = 0.0
        self._at = 0.0
        self._lowered_at = 0.0
        self._round_posts = self._round_refused = 0
        self._ticked_at = 0.0
        self._ticked_posts = 0
        self._measured = 0.0

    def tick(self, now: float) -> None:
        """To be called a few times a second while posts are under way: what the rate is measured by."""
        elapsed = now - self._ticked_at
        if elapsed > 0:
            self._measured = (self.posts - self._ticked_posts) / elapsed
        self._ticked_at, self._ticked_posts = now, self.posts

    def refused(self, now: float) -> None:
        """A post was answered 429."""
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
        """Seconds to wait before the next post; 0: go, and this post is counted."""
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
        """Posts per second since the last tick or before it, whichever were more."""
        elapsed = max(now - self._ticked_at, ROUND)
        return max((self.posts - self._ticked_posts) / elapsed, self._measured)
