"""Simulated nodes as a real JSON-RPC server on loopback: HTTP and WebSocket on one port, a path for each node."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import orjson
from aiohttp import WSMsgType, web

from tests.simulation.chain import HttpStatus, Node, RpcError


class RpcServer:
    """Serves nodes by name. `await server.announce()` pushes the heads to those who subscribed."""

    def __init__(self, nodes: Mapping[str, Node], port: int = 0) -> None:
        self._nodes = nodes
        self._sockets: dict[str, list[web.WebSocketResponse]] = {name: [] for name in nodes}
        self._down: set[str] = set()
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.port = port

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**27)
        app.router.add_route("*", "/{name}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        for name in self._sockets:
            await self.drop(name)
        assert self._runner is not None
        await self._runner.cleanup()

    def http(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def ws(self, name: str) -> str:
        return f"ws://127.0.0.1:{self.port}/{name}"

    async def announce(self) -> None:
        """Send subscribers the head of their node."""
        for name, sockets in self._sockets.items():
            node = self._nodes[name]
            if node.silent:
                continue
            params = {"subscription": "0x1", "result": node.blocks[-1].header()}
            message = orjson.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params})
            for socket in sockets:
                with suppress(ConnectionError):
                    await socket.send_bytes(message)

    async def drop(self, name: str) -> None:
        """Close every WebSocket of a node."""
        for socket in self._sockets[name]:
            await socket.close()
        self._sockets[name].clear()

    def fail(self, name: str) -> None:
        """From now on the node answers 500 to everything."""
        self._down.add(name)

    def mend(self, name: str) -> None:
        self._down.discard(name)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name in self._down:
            return web.Response(status=500)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(name, request)
        found = await self._answer(name, orjson.loads(await request.read()))
        if isinstance(found, HttpStatus):
            return web.Response(status=found.status, headers=dict(found.headers), body=found.body)
        if found is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return web.Response(body=orjson.dumps(found), content_type="application/json")

    async def _serve_socket(self, name: str, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=2**27)
        await socket.prepare(request)
        async for message in socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
            document = orjson.loads(message.data)
            if document["method"] == "eth_subscribe":
                self._sockets[name].append(socket)
                await socket.send_bytes(orjson.dumps({"jsonrpc": "2.0", "id": document["id"], "result": "0x1"}))
                continue
            found = None if name in self._down else await self._answer(name, document)
            if not isinstance(found, dict):
                break
            await socket.send_bytes(orjson.dumps(found))
        await socket.close()
        return socket

    async def _answer(self, name: str, document: dict[str, Any]) -> dict[str, Any] | HttpStatus | None:
        node, method = self._nodes[name], document["method"]
        params: Sequence[Any] = document.get("params", [])
        step = node.next_step(method)
        head = {"jsonrpc": "2.0", "id": document["id"]}
        if isinstance(step, HttpStatus):
            return step
        if step == "drop":
            return None
        if step == "hang":
            await self._released.wait()
            return None
        try:
            if isinstance(step, RpcError):
                raise step
            return {**head, "result": node.answer(method, params, step)}
        except RpcError as error:
            return {**head, "error": error.answer}
