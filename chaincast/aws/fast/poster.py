"""PostToConnection: messages to clients through API Gateway's management API.

What API Gateway answers decides: 200 posted; 410 gone; 429 again, more slowly; 408, 5xx and broken connections again,
a few times; anything else (403, 413, …) will never go through and is dropped, counted by cause.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import uniform
from time import monotonic

from chaincast.aws.fast.connection import HttpError
from chaincast.aws.fast.service_client import Payload, ServiceClient
from chaincast.aws.fast.sigv4 import encode_segment

MAX_SOCKETS = 256
"""Connections to the management API: API Gateway takes some 10 ms for a post."""

MAX_IN_FLIGHT = 512
"""Connections of one posting whose messages are not all posted yet: what bounds its memory. They are signed as they are
offered, half as many in a row: with the caches warm that takes half as long as one by one between system calls."""

SIGNATURE_AGE = 60.0
"""Seconds after which a request that waited is signed again; AWS takes signatures of up to five minutes."""

MAX_FAILED = 500
"""Failures after which a posting ends: then it is not single connections that fail."""

ATTEMPTS = 5
GRACE = 4.0
"""Seconds that a connection of whose messages some are posted still has for the others, once time is up."""

DELIVER_SECONDS = 8.0
_DELAY = 0.05
_MAX_DELAY = 1.0
_GONE, _TOO_MANY, _TIMEOUT = 410, 429, 408


@dataclass(slots=True)
class Outcomes:
    """What became of a posting."""

    posted: int = 0
    """Messages."""
    gone: list[str] = field(default_factory=list)
    """Connections that are no more."""
    deferred: list[str] = field(default_factory=list)
    """Connections that did not get all their messages, though they may live: to be tried again."""
    refused: Counter[str] = field(default_factory=Counter)
    """Messages that can never be delivered, by cause: too large, or no permission."""
    throttled: int = 0
    retried: int = 0
    repeated: int = 0
    """Of those retried, the ones that may have arrived the first time: the only posts a client may get twice."""


class ConnectionPoster:
    """The management API of one stage."""

    def __init__(self, client: ServiceClient) -> None:
        self.client = client

    def begin(self, seconds: float | None = None) -> PostBatch:
        """A posting that begins no message after so many seconds; without a limit if None."""
        return PostBatch(self.client, seconds)

    async def deliver(
        self, payloads: Iterable[bytes], connections: Iterable[str], seconds: float = DELIVER_SECONDS
    ) -> Outcomes:
        """Post messages, in order, to each connection, for so long at most. Never raises for a connection's sake."""
        posting = self.begin(seconds)
        prepared = [Payload(body) for body in payloads]
        for connection in connections:
            posting.submit(connection, prepared)
        return await posting.drain()


class PostBatch:
    """Messages to many connections at once, each connection's in order. Used from one task."""

    def __init__(self, client: ServiceClient, seconds: float | None) -> None:
        self.client = client
        self.pace = client.pool.pace
        self.outcomes = Outcomes()
        self.stopped = False
        """Time is up, or too much failed: what is offered now is left."""
        self._posts: set[_Post] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._threshold = 0
        loop = asyncio.get_running_loop()
        self._timers = [] if seconds is None else [loop.call_later(max(seconds, 0), self.stop)]

    @property
    def full(self) -> bool:
        """Whether `room` should be awaited before more is offered."""
        return len(self._posts) >= MAX_IN_FLIGHT

    def submit(self, connection: str, payloads: Sequence[Payload]) -> None:
        """Post these to the connection, in order, as soon as may be."""
        if not payloads:
            return
        if self.stopped:
            self.outcomes.deferred.append(connection)
            return
        post = _Post(self, connection, payloads)
        self._posts.add(post)
        self.client.pool.submit(post)

    async def wait_for_capacity(self) -> None:
        """Wait until less is under way."""
        await self._until(MAX_IN_FLIGHT // 2)

    async def drain(self) -> Outcomes:
        """Wait until nothing is under way any more."""
        await self._until(0)
        for timer in self._timers:
            timer.cancel()
        return self.outcomes

    def stop(self) -> None:
        """Begin nothing more; whoever has some of their messages gets the others still, within a grace."""
        if self.stopped:
            return
        self.stopped = True
        for post in [post for post in self._posts if not post.begun]:
            self.defer(post)
        self._timers.append(asyncio.get_running_loop().call_later(GRACE, self._abandon))

    def done(self, post: _Post) -> None:
        """A connection has what it can get. (For posts to call.)"""
        self._posts.discard(post)
        if self._waiter is not None and len(self._posts) <= self._threshold and not self._waiter.done():
            self._waiter.set_result(None)

    def defer(self, post: _Post) -> None:
        """A connection is left to another try. (For posts to call.)"""
        post.over = True
        self.outcomes.deferred.append(post.connection)
        self.done(post)
        if len(self.outcomes.deferred) >= MAX_FAILED:
            self.stop()

    def _abandon(self) -> None:
        for post in [*self._posts]:
            self.outcomes.repeated += 1  # what is under way may arrive, and will be posted again
            self.defer(post)

    async def _until(self, threshold: int) -> None:
        if len(self._posts) > threshold:
            self._threshold = threshold
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class _Post:
    """One connection's messages of one posting."""

    __slots__ = ("_failures", "_head", "_index", "_payloads", "_posting", "_signed_at", "begun", "connection", "over")

    def __init__(self, posting: PostBatch, connection: str, payloads: Sequence[Payload]) -> None:
        self._posting = posting
        self._payloads = payloads
        self._index = 0
        self._failures = 0
        self.connection = connection
        self.begun = False
        """A request is under way, or some of the messages are posted."""
        self.over = False
        self._head = b""
        self.sign(monotonic())

    def sign(self, now: float) -> None:
        """Make the head of the next request."""
        path = "/@connections/" + encode_segment(self.connection)
        self._head = self._posting.client.head(path, self._payloads[self._index])
        self._signed_at = now

    def request(self, now: float) -> bytes | None:
        if self.over:
            return None
        self.begun = True
        if now - self._signed_at > SIGNATURE_AGE:
            self.sign(now)
        return self._head + self._payloads[self._index].tail

    def answered(self, status: int, body: bytes) -> bool:
        posting = self._posting
        if self.over:
            return False
        if status == 200:
            posting.pace.posts += 1
            posting.outcomes.posted += 1
            return self._next()
        if status == _GONE:
            posting.outcomes.gone.append(self.connection)
            posting.done(self)
        elif status == _TOO_MANY:
            posting.outcomes.throttled += 1
            posting.pace.refused(monotonic())
            self._again(0)
        elif status >= 500 or status == _TIMEOUT:
            self._fail()
        else:
            posting.outcomes.refused[f"{status} {body[:200].decode(errors='replace')}"] += 1
            return self._next()
        return False

    def broken(self, error: HttpError) -> None:
        if self.over:
            return
        self._posting.outcomes.repeated += error.sent
        if error.stale and not self._failures:
            self._failures += 1
            self._again(0, 0.0)
        else:
            self._fail()

    def _next(self) -> bool:
        """On to the next message, if there is one."""
        self._failures = 0
        self._index += 1
        if self._index < len(self._payloads):
            self.sign(monotonic())
            return True
        self._posting.done(self)
        return False

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= ATTEMPTS:
            self._posting.defer(self)
        else:
            self._again(self._failures)

    def _again(self, failures: int, delay: float = _DELAY) -> None:
        """The same message once more, after a while that grows; not, if time is up and nothing of it was posted."""
        posting = self._posting
        self.begun = self._index > 0
        if posting.stopped and not self.begun:
            posting.defer(self)
            return
        posting.outcomes.retried += 1
        wait = min(delay * 3**failures, _MAX_DELAY) * uniform(0.5, 1)  # noqa: S311 - jitter, no secret
        asyncio.get_running_loop().call_later(wait, self._submit)

    def _submit(self) -> None:
        if not self.over:
            self._posting.client.pool.submit(self, first=True)
