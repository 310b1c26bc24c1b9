"""A small asynchronous HTTP/1.1 client for signed AWS calls: exchanges over a pool of kept connections.

It does what the two hot calls need and no more: requests with a body and a length, one at a time per connection,
answers parsed by httptools (C). There is no task, future or timer per request: a connection that has its answer takes
the next exchange from the queue in the same callback. It outlives invocations: a connection that died while the
sandbox was frozen is noticed before anything is sent on it, as a rule.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Protocol, cast

import httptools

if TYPE_CHECKING:
    from chaincast.aws.fast.pool import Pool


class HttpError(Exception):
    """No answer: the connection failed, broke off or timed out.

    `sent`: the request was handed to the network, so it may have been carried out. `stale`: the connection had been
    kept, and ended without a byte of an answer: most likely it had been dropped while idle.
    """

    def __init__(self, message: str, *, sent: bool, stale: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.stale = stale


class Exchange(Protocol):
    """A request, and what becomes of it. Exactly one of `answered` and `broken` follows each request that is made."""

    def request(self, now: float) -> bytes | None:
        """The whole request, as it goes out now (monotonic s); None where it is not wanted any more."""
        ...

    def answered(self, status: int, body: bytes) -> bool:
        """The answer came. True: this exchange goes on, with its next request."""
        ...

    def broken(self, error: HttpError) -> None:
        """No answer will come."""
        ...


class Connection(asyncio.Protocol):
    """One kept connection of a pool; at most one exchange under way."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._exchange: Exchange | None = None
        self._complete = self._started = self._used = self._keep = False
        self._status = 0
        self.since = 0.0
        """When the last request was sent, or else when the connection was made (monotonic s)."""

    @property
    def busy(self) -> bool:
        return self._exchange is not None

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, exchange: Exchange, request: bytes, now: float) -> None:
        """Begin an exchange; only on a usable connection that is not busy."""
        assert self._transport is not None
        self._exchange = exchange
        self._started = False
        self.since = now
        self._transport.write(request)

    def fail(self, message: str) -> None:
        """Give the connection up, and what is under way on it with it."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        exchange, self._exchange = self._exchange, None
        self._pool.lost(self)
        if exchange is not None:
            exchange.broken(HttpError(message, sent=True, stale=self._used and not self._started))

    # asyncio's callbacks
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from asyncio's
        self.since = monotonic()

    def data_received(self, data: bytes) -> None:
        self._started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(f"not HTTP: {error}")
            return
        if self._complete:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"connection closed by peer: {exc or 'end of stream'}")

    # httptools' callbacks
    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        self._complete = True
        # The parser forgets these with the message's end.
        self._keep = self._parser.should_keep_alive()
        self._status = self._parser.get_status_code()

    def _finish(self) -> None:
        exchange, transport = self._exchange, self._transport
        if exchange is None or transport is None:
            self.fail("an answer to nothing")
            return
        self._exchange = None
        self._complete = False
        self._used = True
        body = b""
        if self._body:
            body = b"".join(self._body)
            self._body.clear()
        if not self._keep:
            transport.close()
            self._transport = None
        self._pool.finished(self, exchange, self._status, body, self._keep and not transport.is_closing())
