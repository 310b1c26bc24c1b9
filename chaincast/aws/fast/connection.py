"""An asynchronous HTTP/1.1 connection for signed AWS calls, which a pool keeps open for many exchanges.

It does only what posts and DynamoDB calls need: requests with a body and a length, one at a time per connection.
httptools (C) parses the responses. There is no task, future or timer per request: a connection that has received its
response takes the next exchange from the pool's queue in the same callback. Connections outlive invocations. One that
was dropped while the sandbox was frozen is usually noticed before anything is sent on it.
"""

from __future__ import annotations

import asyncio
from enum import Enum
from time import monotonic
from typing import Protocol, cast

import httptools


class HttpError(Exception):
    """An exchange ended without a response: the connection failed, was closed or timed out.

    `sent`: True if the request was handed to the network, so that it may have been carried out. `stale`: True if the
    connection had been used before and ended without a byte of a response. It was most likely dropped while idle.
    """

    def __init__(self, message: str, *, sent: bool, stale: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.stale = stale


class AfterResponse(Enum):
    """The next step of an exchange after a response."""

    FINISHED = "finished"
    NEXT_REQUEST = "next request"


class Exchange(Protocol):
    """A request and the handling of its response. Each request is followed by one `answered` or one `broken`."""

    def request(self, now: float) -> bytes | None:
        """Return the whole request as it is sent now (monotonic s), or None if it is no longer needed."""
        ...

    def answered(self, status: int, body: bytes) -> AfterResponse:
        """Handle the response, and return whether the exchange goes on with another request."""
        ...

    def broken(self, error: HttpError) -> None:
        """Handle the failure of the request."""
        ...


class ConnectionOwner(Protocol):
    """The pool of a connection (chaincast/aws/fast/pool.py)."""

    def finished(self, connection: Connection, exchange: Exchange, status: int, body: bytes, usable: bool) -> None:
        """Handle a response. `usable`: True if the connection can take another exchange."""
        ...

    def lost(self, connection: Connection) -> None:
        """Handle the end of a connection."""
        ...


class Connection(asyncio.Protocol):
    """A connection of a pool, with at most one exchange in progress."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body: list[bytes] = []
        self._exchange: Exchange | None = None
        self._response_started = self._response_complete = False
        self._reused = self._keep_alive = False
        self._status = 0
        self.since = 0.0
        """Time (monotonic s) of the last request, or of the opening if there was none."""

    @property
    def busy(self) -> bool:
        """True if an exchange is in progress."""
        return self._exchange is not None

    @property
    def usable(self) -> bool:
        """True if the connection is open."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, exchange: Exchange, request: bytes, now: float) -> None:
        """Begin an exchange. The connection must be usable and not busy."""
        assert self._transport is not None
        self._exchange = exchange
        self._response_started = False
        self.since = now
        self._transport.write(request)

    def fail(self, message: str) -> None:
        """Drop the connection, and break the exchange that is in progress."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        exchange, self._exchange = self._exchange, None
        self._owner.lost(self)
        if exchange is not None:
            exchange.broken(HttpError(message, sent=True, stale=self._reused and not self._response_started))

    # asyncio's callbacks
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not inherit from asyncio's
        self.since = monotonic()

    def data_received(self, data: bytes) -> None:
        self._response_started = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.fail(f"response is not HTTP: {error}")
            return
        if self._response_complete:
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"connection closed by peer: {exc or 'end of stream'}")

    # httptools' callbacks
    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        self._response_complete = True
        # The parser discards these values after this callback.
        self._keep_alive = self._parser.should_keep_alive()
        self._status = self._parser.get_status_code()

    def _finish(self) -> None:
        exchange, transport = self._exchange, self._transport
        if exchange is None or transport is None:
            self.fail("response without a request")
            return
        self._exchange = None
        self._response_complete = False
        self._reused = True
        body = b""
        if self._body:
            body = b"".join(self._body)
            self._body.clear()
        if not self._keep_alive:
            transport.close()
            self._transport = None
        self._owner.finished(self, exchange, self._status, body, self._keep_alive and not transport.is_closing())
