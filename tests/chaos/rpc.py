"""Between a listener and its node: answers that never come, come late, or end the connection."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

DROPPED, LATE, CUT = 0.01, 0.05, 0.004
LATEST = 2.0


class FlakyNode:
    """A WebSocket endpoint that passes on what goes to and from a real one. Use `calm` to end the faults."""

    def __init__(self, node: str, port: int, dice: random.Random) -> None:
        self.url = f"ws://127.0.0.1:{port}"
        self.faults: Counter[str] = Counter()
        self.calm = True
        self._node = node
        self._port = port
        self._dice = dice
        self._server: Server

    async def start(self) -> None:
        self._server = await serve(self._pass_on, "127.0.0.1", self._port, ping_interval=None, max_size=None)

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _pass_on(self, client: ServerConnection) -> None:
        with suppress(OSError, ConnectionClosed):
            async with connect(self._node, ping_interval=None, max_size=None) as node:
                ways = {asyncio.create_task(self._questions(client, node))}
                ways.add(asyncio.create_task(self._answers(client, node)))
                _, left = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in left:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)

    async def _questions(self, client: ServerConnection, node: ClientConnection) -> None:
        async for text in client:
            await node.send(text)

    async def _answers(self, client: ServerConnection, node: ClientConnection) -> None:
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
            await asyncio.sleep(self._dice.uniform(0.1, LATEST))
        elif roll < DROPPED + LATE + CUT:
            self.faults["rpc connections cut"] += 1
            await client.close()
            return True
        return False
