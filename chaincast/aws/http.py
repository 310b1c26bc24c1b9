"""A small asynchronous HTTP/1.1 client for signed AWS calls: a keep-alive pool over asyncio protocols.

It does what the two hot calls need and no more: requests with a body and a length, one at a time per connection,
responses parsed by httptools (C). It outlives invocations: a connection that died while the sandbox was frozen is
noticed when it is used, and the request is sent once more on a new one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

CONNECT_TIMEOUT = 3.0
REQUEST_TIMEOUT = 10.0


class HttpError(Exception):
    """No response: the connection failed, broke off or timed out. `maybe_sent`: the request may have arrived."""

    def __init__(self, message: str, *, maybe_sent: bool) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response."""

    status: int
    body: bytes
    error_type: str = ""
    """AWS's error name from `x-amzn-ErrorType`, without its suffixes."""


class _Connection(asyncio.Protocol):
    """One keep-alive connection; at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._body: list[bytes] = []
        self._error_type = ""
        self._started = False
        self.used = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from asyncio's

    def send(self, request: bytes) -> asyncio.Future[Response]:
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._body.clear()
        self._error_type = ""
        self._started = False
        self._transport.write(request)
        return self._waiting

    def data_received(self, data: bytes) -> None:
        self._started = True
        if self._parser is None:
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(f"connection closed by peer: {exc or 'end of stream'}")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
        self._fail("closed")

    def _fail(self, message: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            # A used connection that ends without a byte of an answer was dropped while idle: the request did not run.
            stale = self.used and not self._started
            self._waiting.set_exception(HttpError(message, maybe_sent=not stale))
        if self._transport is not None:
            self._transport.abort()

    # httptools' callbacks
    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amzn-errortype":
            self._error_type = value.decode("latin-1").partition(":")[0]

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        parser, waiting = self._parser, self._waiting
        assert parser is not None
        if not parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        if waiting is not None and not waiting.done():
            waiting.set_result(Response(parser.get_status_code(), b"".join(self._body), self._error_type))


class HttpPool:
    """Up to `size` connections to one endpoint, e.g. `https://dynamodb.us-east-1.amazonaws.com`.

    One event loop's: not for use from several. `request` may be called by any number of tasks at once.
    """

    def __init__(self, endpoint: str, size: int) -> None:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError(f"{endpoint!r} is no endpoint: http(s)://host[:port][/path]")
        self.host = url.netloc
        self.path = url.path.rstrip("/")
        self._address = (url.hostname, url.port or (443 if url.scheme == "https" else 80))
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._free: deque[_Connection] = deque()
        self._slots = asyncio.Semaphore(size)

    async def request(self, request: bytes) -> Response:
        """The response to a whole request (head and body). Raises `HttpError`."""
        async with self._slots:
            while True:
                connection = await self._connection()
                try:
                    response = await asyncio.wait_for(connection.send(request), REQUEST_TIMEOUT)
                except TimeoutError:
                    connection.close()
                    raise HttpError(f"no answer in {REQUEST_TIMEOUT:g} s", maybe_sent=True) from None
                except HttpError as error:
                    connection.close()
                    if error.maybe_sent:
                        raise
                    continue
                except asyncio.CancelledError:
                    connection.close()
                    raise
                if connection.usable:
                    connection.used = True
                    self._free.append(connection)
                return response

    async def _connection(self) -> _Connection:
        while self._free:
            connection = self._free.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                _, connection = await loop.create_connection(_Connection, *self._address, ssl=self._tls)
        except (OSError, TimeoutError) as error:
            where = f"{self._address[0]}:{self._address[1]}"
            raise HttpError(f"cannot connect to {where}: {error}", maybe_sent=False) from error
        return connection

    def close(self) -> None:
        """Drop every idle connection."""
        while self._free:
            self._free.pop().close()
