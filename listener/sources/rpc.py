"""A JSON-RPC endpoint through web3.py, over WebSocket (the node pushes new heads) or HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import aiohttp
from web3 import AsyncWeb3
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint, RPCResponse
from websockets.exceptions import WebSocketException

from chaincast.errors import SourceError
from listener.sources.faults import NoResponse, http_fault, rpc_fault, without_urls
from listener.sources.providers import HttpProvider, HttpStatus, WebSocketProvider

_FAILURES = (OSError, TimeoutError, Web3Exception, EOFError, aiohttp.ClientError, WebSocketException, ValueError)

Observe: TypeAlias = Callable[[str, float, SourceError | None], None]
"""Function that is called after every request, with its method, its duration in seconds, and its error or None."""


class Rpc:
    """Client of one endpoint. Its methods raise `SourceError`, whose message never contains the endpoint's URL."""

    observe: Observe = staticmethod(lambda *_: None)

    def __init__(self, url: str) -> None:
        self.pushes = url.startswith(("ws://", "wss://"))
        self.name = urlsplit(url).hostname or "?"
        """The host, without the path, which may contain a provider's key."""
        self.pushed_head = -1
        self.head_pushed = asyncio.Event()
        self._url = url
        self._w3: AsyncWeb3[Any] | None = None
        self._subscribed = False
        self.subscription_ended = False

    @property
    def connected(self) -> bool:
        return self._w3 is not None

    async def connect(self) -> None:
        """Connect, unless the endpoint is connected already."""
        if self._w3 is not None:
            return
        if not self.pushes:
            self._w3 = AsyncWeb3(HttpProvider(self._url))
            return
        provider = WebSocketProvider(self._url, self._on_push)
        try:
            await provider.connect()
        except _FAILURES as error:
            raise SourceError(f"cannot connect to {self.name}: {_brief(error)}") from error
        if self.connected:  # a concurrent call of this method was faster
            await provider.disconnect()
            return
        self._w3, self._subscribed, self.subscription_ended = AsyncWeb3(provider), False, False

    async def close(self) -> None:
        w3, self._w3 = self._w3, None
        if w3 is not None:
            with contextlib.suppress(*_FAILURES):
                await w3.provider.disconnect()

    async def subscribe_heads(self, within: float) -> None:
        """Subscribe to new heads, unless subscribed already. Do nothing over HTTP.

        Each pushed head is stored in `pushed_head` and sets `head_pushed`.
        """
        if self.pushes and not self._subscribed:
            await self.call("eth_subscribe", "newHeads", within=within)
            self._subscribed = True

    def _on_push(self, head: Mapping[str, Any] | None) -> None:
        """Wake the listener, which then reads the new blocks as a range. None means that the connection ended."""
        if head is None:
            self.subscription_ended = True
        else:
            self.pushed_head = int(head["number"], 16)
        self.head_pushed.set()

    async def call(self, method: str, *params: object, within: float) -> object:
        """Return the raw result of a JSON-RPC request. `within` is its timeout in seconds.

        The result formatters of web3 are not used: at hundreds of logs per block they cost more than the request.
        """
        await self.connect()
        assert self._w3 is not None
        started = monotonic()
        fault: SourceError | None = None
        try:
            async with asyncio.timeout(within):
                response: RPCResponse = await self._w3.provider.make_request(RPCEndpoint(method), list(params))
            if "error" in response:
                fault = rpc_fault(f"{self.name}: {method}", response["error"])
        except TimeoutError:
            fault = NoResponse(f"{self.name}: {method}: no response within {within:g} s")
        except HttpStatus as error:
            fault = http_fault(f"{self.name}: {method}", error.status, error.retry_after)
        except _FAILURES as error:
            fault = SourceError(f"{self.name}: {method}: {_brief(error)}")
            await self.close()
        self.observe(method, monotonic() - started, fault)
        if fault is not None:
            raise fault
        return response.get("result")


def _brief(error: BaseException) -> str:
    return without_urls(f"{type(error).__name__}: {error}")
