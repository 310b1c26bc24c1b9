"""web3.py's providers, as the listener needs them: what of its own would cost too much is done otherwise.

web3 8's WebSocket provider waits for answers in a loop that never rests (a whole core while a node thinks) and does not
notice that the connection closed; its HTTP provider opens a connection for each request and drops the body of an error.
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

MAX_ANSWER_BYTES = 128 * 1024 * 1024
CONNECT_TIMEOUT = 5.0


class HttpStatus(Exception):
    """An answer over HTTP that is no JSON-RPC."""

    def __init__(self, status: int, retry_after: str | None) -> None:
        super().__init__(status)
        self.status = status
        self.retry_after = retry_after


class HttpProvider(AsyncHTTPProvider):
    """Keeps connections open and reads error answers whatever their status."""

    _session: aiohttp.ClientSession | None = None

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        if self._session is None:
            # An endpoint drops idle connections after a minute or so: one that is kept longer breaks on its next use.
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
    """Each answer goes to whoever asked; what is pushed goes to `pushed`, and None when the connection ends."""

    def __init__(self, url: str, pushed: Callable[[dict[str, Any] | None], None]) -> None:
        super().__init__()
        self._url = url
        self._pushed = pushed
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[object, asyncio.Future[RPCResponse]] = {}

    async def connect(self) -> None:
        """Raises what websockets raises."""
        self._socket = await connect(
            self._url, max_size=MAX_ANSWER_BYTES, open_timeout=CONNECT_TIMEOUT, close_timeout=1
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
            # Not politely: who is given up does not answer a closing handshake either.
            socket.transport.abort()
            await socket.wait_closed()

    async def _read(self, socket: ClientConnection) -> None:
        why = "closed by the node"
        try:
            async for frame in socket:
                document = orjson.loads(frame)
                if document.get("method") == "eth_subscription":
                    self._pushed(document["params"]["result"])
                elif (waiting := self._waiting.pop(document.get("id"), None)) is not None and not waiting.done():
                    waiting.set_result(document)
        except (WebSocketException, OSError, ValueError, KeyError, AttributeError) as error:
            why = f"{type(error).__name__}: {error}"
        finally:
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError(why))
            self._waiting.clear()
            self._pushed(None)
