"""Posts messages to clients through PostToConnection of API Gateway's management API.

The response decides what follows (chaincast/aws/fast/post_outcomes.py): a message is posted, or sent again, or dropped,
or its connection is closed. A connection that alone responds 429 is stalled: the others do not wait for it. A pace,
shared by all posts of a process, slows down when API Gateway throttles the account.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from time import monotonic

from chaincast.aws.fast.connection import AfterResponse, HttpError
from chaincast.aws.fast.pacing import Pace
from chaincast.aws.fast.post_outcomes import (
    FORBIDDEN,
    FULL_RETRY_SECONDS,
    LIMITED_ATTEMPTS,
    MAX_ATTEMPTS,
    RETRY_SECONDS,
    STALLED_ATTEMPTS,
    STALLED_SECONDS,
    Outcomes,
    PostResult,
    classify,
    retry_seconds,
)
from chaincast.aws.fast.service_client import Payload, ServiceClient
from chaincast.aws.fast.sigv4 import encode_segment

MAX_SOCKETS = 256
"""Connections to the management API. API Gateway takes about 10 ms for a post."""

MAX_IN_FLIGHT = 512
"""Maximum number of connections in one batch of posts whose messages are not all posted yet, which bounds its memory.

Requests are signed on submit, in runs of half this number: signing in a tight loop is about twice as fast as between
system calls.
"""

MAX_SIGNATURE_AGE_SECONDS = 60.0
"""Seconds after which a waiting request is signed again. AWS accepts signatures that are up to five minutes old."""

MAX_FAILED = 500
"""Deferred connections after which a batch of posts ends, because then single connections are not the cause."""

GRACE_SECONDS = 4.0
"""Seconds after the deadline in which connections that have some of their messages may receive the others."""

DELIVER_SECONDS = 8.0
"""Default maximum of seconds for `ConnectionPoster.deliver`."""


class ConnectionPoster:
    """Posts to the connections of one stage. The client's pool is throttled by the poster's pace."""

    def __init__(self, client: ServiceClient) -> None:
        self.client = client
        self.pace = Pace()
        client.pool.throttle = self.pace

    def begin(self, seconds: float | None = None, *, patient: bool = False) -> PostBatch:
        """Return an empty batch of posts that begins no message after `seconds` (None: no limit).

        `patient`: a connection is stalled only after `STALLED_SECONDS`, even if all others have their messages.
        """
        return PostBatch(self.client, self.pace, seconds, patient=patient)

    async def deliver(
        self, payloads: Iterable[bytes], connections: Iterable[str], seconds: float = DELIVER_SECONDS
    ) -> Outcomes:
        """Post the messages, in order, to each connection within `seconds`. Failures are reported, not raised."""
        posting = self.begin(seconds, patient=True)
        prepared = [Payload(body) for body in payloads]
        for connection in connections:
            posting.submit(connection, prepared)
        return await posting.drain()


class PostBatch:
    """Posts to many connections at the same time, in order for each connection. Only one task may use it."""

    def __init__(self, client: ServiceClient, pace: Pace, seconds: float | None, *, patient: bool) -> None:
        self._patient = patient
        self.client = client
        self.pace = pace
        self.outcomes = Outcomes()
        self.stopped = False
        """True if the deadline has passed or too many posts failed. Connections submitted then are deferred."""
        self._posts: set[_Post] = set()
        self._throttled: set[_Post] = set()
        """Those that wait after a response with status 429."""
        self._waiter: asyncio.Future[None] | None = None
        self._threshold = 0
        loop = asyncio.get_running_loop()
        self._timers = [] if seconds is None else [loop.call_later(max(seconds, 0), self.stop)]

    @property
    def full(self) -> bool:
        """True if `wait_for_capacity` must be awaited before the next `submit`."""
        return len(self._posts) >= MAX_IN_FLIGHT

    def submit(self, connection: str, payloads: Sequence[Payload]) -> None:
        """Queue messages for a connection."""
        if not payloads:
            return
        if self.stopped:
            self.outcomes.deferred.append(connection)
            return
        post = _Post(self, connection, payloads)
        self._posts.add(post)
        self.client.pool.submit(post)

    async def wait_for_capacity(self) -> None:
        """Wait until at most half of `MAX_IN_FLIGHT` connections are in progress."""
        await self._until(MAX_IN_FLIGHT // 2)

    async def drain(self) -> Outcomes:
        """Wait until all posts have ended. Return their outcomes."""
        await self._until(0)
        for timer in self._timers:
            timer.cancel()
        return self.outcomes

    def stop(self) -> None:
        """Begin no connection. Those that have some of their messages get the others within `GRACE_SECONDS`."""
        if self.stopped:
            return
        self.stopped = True
        for post in [post for post in self._posts if not post.begun]:
            self.defer(post)
        self._timers.append(asyncio.get_running_loop().call_later(GRACE_SECONDS, self._abandon))

    def done(self, post: _Post) -> None:
        """Note that a connection has received everything it can get. Only posts call this method."""
        self._remove(post)
        self._check_stalled()
        self._wake()

    def defer(self, post: _Post) -> None:
        """Note that a connection must be tried again later. Only posts call this method."""
        post.over = True
        self.outcomes.deferred.append(post.connection)
        self.done(post)
        if len(self.outcomes.deferred) >= MAX_FAILED:
            self.stop()

    def throttled(self, post: _Post) -> None:
        """Note that a post waits after a response with status 429. Only posts call this method."""
        self._throttled.add(post)
        self._check_stalled()
        self._wake()

    def again(self, post: _Post) -> None:
        """Note that a post is sent again after a response with status 429. Only posts call this method."""
        self._throttled.discard(post)

    def stall(self, post: _Post) -> None:
        """Leave a connection whose client does not read. Only posts call this method."""
        self._leave(post)
        self.done(post)

    def _wake(self) -> None:
        """Wake the task that waits until few posts are left."""
        if self._waiter is not None and len(self._posts) <= self._threshold and not self._waiter.done():
            self._waiter.set_result(None)

    def _remove(self, post: _Post) -> None:
        self._posts.discard(post)
        self._throttled.discard(post)

    def _leave(self, post: _Post) -> None:
        post.over = True
        self.outcomes.stalled[post.connection] = post.payloads
        self._remove(post)

    def _check_stalled(self) -> None:
        """Leave the connections for which all others would have to wait."""
        if self._patient or len(self._throttled) < len(self._posts):
            return
        attempts = LIMITED_ATTEMPTS if self.pace.limited else STALLED_ATTEMPTS
        for post in [post for post in self._throttled if post.refusals >= attempts]:
            self._leave(post)

    def _abandon(self) -> None:
        for post in [*self._posts]:
            self.outcomes.repeated += 1  # a message in progress may arrive, and will be posted again
            self.defer(post)

    async def _until(self, threshold: int) -> None:
        if len(self._posts) > threshold:
            self._threshold = threshold
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter


class _Post:
    """The messages of one connection."""

    __slots__ = (
        "_failures",
        "_head",
        "_index",
        "_posting",
        "_refused_at",
        "_signed_at",
        "begun",
        "connection",
        "over",
        "payloads",
        "refusals",
    )

    def __init__(self, posting: PostBatch, connection: str, payloads: Sequence[Payload]) -> None:
        self._posting = posting
        self.payloads = payloads
        self.refusals = 0
        """Number of responses with status 429 in a row."""
        self._refused_at = 0.0
        self._index = 0
        self._failures = 0
        self.connection = connection
        self.begun = False
        """True if a request is in progress or some of the messages are posted."""
        self.over = False
        """True if the connection is deferred or stalled. A response that still arrives is ignored."""
        self._head = b""
        self.sign(monotonic())

    def sign(self, now: float) -> None:
        """Sign the next request."""
        path = "/@connections/" + encode_segment(self.connection)
        self._head = self._posting.client.head(path, self.payloads[self._index])
        self._signed_at = now

    def request(self, now: float) -> bytes | None:
        """Return the next request, signed again if its signature is old."""
        if self.over:
            return None
        self.begun = True
        if now - self._signed_at > MAX_SIGNATURE_AGE_SECONDS:
            self.sign(now)
        return self._head + self.payloads[self._index].tail

    def answered(self, status: int, body: bytes) -> AfterResponse:
        """Count the response and go on as `classify` says."""
        posting = self._posting
        if self.over:
            return AfterResponse.FINISHED
        result = classify(status)
        if result is PostResult.POSTED:
            posting.pace.posts += 1
            posting.pace.recovered += self.refusals > 0
            posting.outcomes.posted += 1
            return self._next()
        if result is PostResult.REFUSED:
            posting.outcomes.refused[f"{status} {body[:200].decode(errors='replace')}"] += 1
            return self._next()
        if result is PostResult.GONE:
            posting.outcomes.gone.append(self.connection)
            posting.done(self)
        elif result is PostResult.THROTTLED:
            posting.outcomes.throttled += 1
            self._throttled(monotonic())
        else:
            posting.outcomes.forbidden += status in FORBIDDEN
            self._fail()
        return AfterResponse.FINISHED

    def broken(self, error: HttpError) -> None:
        """Send the message again: at once if the connection was stale, later if not."""
        if self.over:
            return
        self._posting.outcomes.repeated += error.sent
        if error.stale and not self._failures:
            self._failures += 1
            self._again(0, 0.0)
        else:
            self._fail()

    def _next(self) -> AfterResponse:
        """Go on to the next message, if there is one."""
        self._failures = self.refusals = 0
        self._index += 1
        if self._index < len(self.payloads):
            self.sign(monotonic())
            return AfterResponse.NEXT_REQUEST
        self._posting.done(self)
        return AfterResponse.FINISHED

    def _throttled(self, now: float) -> None:
        self._posting.pace.refused(now, first=not self.refusals)
        if not self.refusals:
            self._refused_at = now
        self.refusals += 1
        if now - self._refused_at >= STALLED_SECONDS and self.refusals >= LIMITED_ATTEMPTS:
            self._posting.stall(self)
            return
        self._again(self.refusals - 1, FULL_RETRY_SECONDS)
        if not self.over:
            self._posting.throttled(self)

    def _fail(self) -> None:
        self._failures += 1
        if self._failures >= MAX_ATTEMPTS:
            self._posting.defer(self)
        else:
            self._again(self._failures)

    def _again(self, failures: int, base_seconds: float = RETRY_SECONDS) -> None:
        """Send the same message again later. If the deadline passed before its first message, defer it."""
        posting = self._posting
        self.begun = self._index > 0
        if posting.stopped and not self.begun:
            posting.defer(self)
            return
        posting.outcomes.retried += 1
        asyncio.get_running_loop().call_later(retry_seconds(failures, base_seconds), self._submit)

    def _submit(self) -> None:
        if not self.over:
            self._posting.again(self)
            self._posting.client.pool.submit(self, first=True)
