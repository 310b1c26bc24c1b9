"""Providers for web3.py that replace its own, which are too expensive for the listener.

The WebSocket provider of web3 8 waits for responses in a busy loop (a whole CPU core while a node works) and does not
notice a closed connection. Its HTTP provider opens a connection for each request and drops the body of an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import aiohttp
import orjson
from web3 import AsyncHTTPProvider
from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

MAX_RESPONSE_BYTES = 128 * 1024 * 1024
CONNECT_TIMEOUT_SECONDS = 5.0


class HttpStatus(Exception):
    """The endpoint responded with an HTTP status instead of a JSON-RPC document."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after


class HttpProvider(AsyncHTTPProvider):
    """HTTP provider that keeps connections open and reads the body of a response of any status."""

    _session: aiohttp.ClientSession | None = None

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        if self._session is None:
            # Endpoints close idle connections after about a minute. One that is kept longer would fail when used again.
            connector = aiohttp.TCPConnector(limit=32, keepalive_timeout=30)
            self._session = aiohttp.ClientSession(connector=connector, headers=self.get_request_headers())
        body = self.encode_rpc_request(method, params)
        async with self._session.post(str(self.endpoint_uri), data=body) as response:
            answer = await response.read()
        if answer[:1] == b"{" and response.status not in (429, 503):
            document = orjson.loads(answer)
            if "result" in document or "error" in document:
                return cast(RPCResponse, document)
        raise HttpStatus(response.status, response.headers.get("Retry-After"))

    async def disconnect(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class WebSocketProvider(AsyncJSONBaseProvider):
    """WebSocket provider that assigns responses to requests by their id.

    `on_push` is called with each pushed notification, and with None when the connection ends.
    """

    def __init__(self, url: str, on_push: Callable[[dict[str, Any] | None], None]) -> None:
        super().__init__()
        self._url = url
        self._on_push = on_push
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[object, asyncio.Future[RPCResponse]] = {}

    async def connect(self) -> None:
        """Open the connection. Raise the exceptions of `websockets.connect`."""
        self._socket = await connect(
            self._url, max_size=MAX_RESPONSE_BYTES, open_timeout=CONNECT_TIMEOUT_SECONDS, close_timeout=1
        )
        self._reading = asyncio.create_task(self._read(self._socket), name="websocket")

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        if self._socket is None or self._reading is None or self._reading.done():
            raise ConnectionError("the connection is closed")
        request = self.form_request(method, params)
        number = request["id"]
        waiting: asyncio.Future[RPCResponse] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            await self._socket.send(self.encode_rpc_dict(request))
            return await waiting
        finally:
            self._waiting.pop(number, None)

    async def disconnect(self) -> None:
        reader, self._reading = self._reading, None
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        socket, self._socket = self._socket, None
        if socket is not None:
            # The connection is aborted: a node that no longer responds does not answer a closing handshake either.
            socket.transport.abort()
            await socket.wait_closed()

    async def _read(self, socket: ClientConnection) -> None:
        reason = "closed by the node"
        try:
            async for frame in socket:
                document = orjson.loads(frame)
                if document.get("method") == "eth_subscription":
                    self._on_push(document["params"]["result"])
                elif (waiting := self._waiting.pop(document.get("id"), None)) is not None and not waiting.done():
                    waiting.set_result(document)
        except (WebSocketException, OSError, ValueError, KeyError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError(reason))
            self._waiting.clear()
            self._on_push(None)
