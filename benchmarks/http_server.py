"""A small HTTP/1.1 server for the fakes of the benchmarks: fast enough that the measured client is the bottleneck."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeAlias, cast

import httptools

Respond: TypeAlias = Callable[[str, bytes], tuple[int, bytes]]
"""A handler: receives the operation in `X-Amz-Target` ("" if there is none) and the body, returns status and body."""


class _Connection(asyncio.Protocol):
    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self._operation = ""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"x-amz-target":
                self._operation = value.rpartition(b".")[2].decode()
            case b"expect":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        status, body = self._respond(self._operation, b"".join(self._body))
        self._operation = ""
        self._body.clear()
        self._transport.write(b"HTTP/1.1 %d Fake\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))


async def listen(port: int, respond: Respond, tls: ssl.SSLContext | None = None) -> asyncio.Server:
    """Serve on a port of the loopback interface."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Connection(respond), "127.0.0.1", port, ssl=tls)
