"""A proxy between a listener and its node that drops or delays responses, or closes the connection."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

DROPPED, LATE, CUT = 0.01, 0.05, 0.004
"""Probabilities that a response is dropped, is late, or that the connection is closed instead."""
MAX_DELAY_SECONDS = 2.0


class FlakyNode:
    """A WebSocket proxy of a real node. While `calm` is True it causes no faults."""

    def __init__(self, node: str, port: int, dice: random.Random) -> None:
        self.url = f"ws://127.0.0.1:{port}"
        self.faults: Counter[str] = Counter()
        self.calm = True
        self._node = node
        self._port = port
        self._dice = dice
        self._server: Server

    async def start(self) -> None:
        """Start to listen."""
        self._server = await serve(self._forward, "127.0.0.1", self._port, ping_interval=None, max_size=None)

    async def stop(self) -> None:
        """Close all connections."""
        self._server.close()
        await self._server.wait_closed()

    async def _forward(self, client: ServerConnection) -> None:
        with suppress(OSError, ConnectionClosed):
            async with connect(self._node, ping_interval=None, max_size=None) as node:
                directions = {asyncio.create_task(self._forward_requests(client, node))}
                directions.add(asyncio.create_task(self._forward_responses(client, node)))
                _, running = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
                for task in running:
                    task.cancel()
                await asyncio.gather(*directions, return_exceptions=True)

    async def _forward_requests(self, client: ServerConnection, node: ClientConnection) -> None:
        async for text in client:
            await node.send(text)

    async def _forward_responses(self, client: ServerConnection, node: ClientConnection) -> None:
        async for text in node:
            if not self.calm and await self._is_lost(client):
                continue
            await client.send(text)

    async def _is_lost(self, client: ServerConnection) -> bool:
        roll = self._dice.random()
        if roll < DROPPED:
            self.faults["rpc answers dropped"] += 1
            return True
        if roll < DROPPED + LATE:
            self.faults["rpc answers late"] += 1
            await asyncio.sleep(self._dice.uniform(0.1, MAX_DELAY_SECONDS))
        elif roll < DROPPED + LATE + CUT:
            self.faults["rpc connections cut"] += 1
            await client.close()
            return True
        return False
