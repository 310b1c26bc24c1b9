"""The pace of posts: unlimited until API Gateway throttles the account, then adjusted by AIMD.

API Gateway responds with 429 to a post for two reasons: the account has used up its quota, or the client of that
connection does not read and the buffer for its messages is full (API Gateway, PostToConnection,
`LimitExceededException`). The response does not say which. But a full buffer refuses every attempt of one
connection, and a used-up quota some attempts of all connections. So a limit begins only if several connections and a
considerable share of them are refused, and a considerable share of their second attempts succeeds, or nearly everything
is refused.

AIMD is additive increase, multiplicative decrease (Chiu and Jain, 1989). All shards of a stack share one quota whose
size they do not know, and by this rule each of them converges to its share. The decrease is proportional to the share
of posts that were refused, as in DCTCP (RFC 8257).

This module is pure: the caller passes its clock, in seconds, with each call.
"""

from __future__ import annotations

DECREASE = 0.5
"""Share by which the rate falls if every connection of a round was refused."""

SEVERAL = 3
"""Number of connections of a round that must be refused for a limit to begin."""

SHARE = 0.1
"""Share of a round's connections that must be refused for a limit to begin. Once there is one, any share lowers the
rate."""

RECOVERED = 0.2
"""Share of the attempts after a 429 that must succeed for a limit to begin,"""

NEARLY_ALL = 0.8
"""unless this share of all attempts is refused,"""

MANY = 50
"""and at least this number of connections. The growing delays of fewer connections are limit enough."""

INCREASE = 250.0
"""Posts per second by which the rate rises each second. The same value for all shards makes their shares even."""

ROUND = 0.2
"""Seconds over which refusals are counted. A round begins with a refusal."""

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
        self.recovered = 0
        """Number of posts that API Gateway has accepted after a 429. The caller increases it, too."""
        self._tokens = 0.0
        self._at = 0.0
        self._lowered_at = 0.0
        self._round_began = 0.0
        self._round_posts = self._round_recovered = 0
        self._round_refused = self._round_again = 0
        """Number of connections that were refused in this round, and of attempts that were refused again."""
        self._ticked_at = 0.0
        self._ticked_posts = 0
        self._measured = 0.0

    def tick(self, now: float) -> None:
        """Measure the rate. The caller does this a few times per second while posts are in progress."""
        elapsed = now - self._ticked_at
        if elapsed > 0:
            self._measured = (self.posts - self._ticked_posts) / elapsed
        self._ticked_at, self._ticked_posts = now, self.posts

    def refused(self, now: float, *, first: bool) -> None:
        """Note a response with status 429. The rate falls at most once a round.

        `first`: the connection has not refused this message before. Only then does it count, because a client that does
        not read refuses every attempt.
        """
        if first:
            if not self._round_refused:
                self._begin_round(now)
            self._round_refused += 1
        else:
            self._round_again += 1
        if not self._round_refused or now - self._round_began < ROUND:
            return
        share = self._round_refused / (self._round_refused + self.posts - self._round_posts)
        by_quota = self.limited or self._is_quota(share)
        self._round_refused = 0
        if not by_quota:
            return
        fastest = self.rate
        if not self.limited:
            self.limited = True
            self._tokens, self._at = 0.0, now
            fastest = self._fastest(now)
        self.rate = max(MIN_RATE, fastest * (1 - DECREASE * share))
        self._lowered_at = now

    def _begin_round(self, now: float) -> None:
        self._round_began, self._round_posts, self._round_recovered = now, self.posts, self.recovered
        self._round_again = 0

    def _is_quota(self, share: float) -> bool:
        """Return True if the refusals of the round come from the account's quota."""
        refused, accepted = self._round_refused + self._round_again, self.posts - self._round_posts
        if refused >= NEARLY_ALL * (refused + accepted):
            return self._round_refused >= MANY
        recovered = self.recovered - self._round_recovered
        return (
            self._round_refused >= SEVERAL
            and share >= SHARE
            and recovered > 0
            and recovered >= RECOVERED * (recovered + self._round_again)
        )

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
