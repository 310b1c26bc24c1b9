"""Clients as docs/protocol.md tells people to write them: they come back, resume, and know repeats by their ids."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

Message: TypeAlias = dict[str, Any]  # a chaincast.v1 message

ANSWER_SECONDS = 8.0
PAUSE = (0.1, 1.0)


class Survivor:
    """One client. `held`: the events that it believes in, by id, in the order of their coming."""

    def __init__(self, url: str, topics: tuple[str, ...], cursors: Mapping[str, str], dice: random.Random) -> None:
        self.topics = topics
        self.held: dict[str, Message] = {}
        self.repeats = self.connections = 0
        self.connection_id = ""
        self.heard = 0.0
        """When it got its last message, on the monotonic clock."""
        self.at_home = asyncio.Event()
        """It is connected, and listens."""
        self._url = url
        self._cursors = dict(cursors)
        self._dice = dice
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._live())

    @property
    def failure(self) -> str:
        """What it died of, which no client should."""
        died = self._task is not None and self._task.done() and not self._task.cancelled()
        return repr(self._task.exception()) if died and self._task is not None else ""

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    def cut(self) -> None:
        """The network between it and the API is gone, without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _live(self) -> None:
        while True:
            with suppress(OSError, InvalidHandshake, TimeoutError, ConnectionClosed):
                await self._visit()
            self.at_home.clear()
            await asyncio.sleep(self._dice.uniform(*PAUSE))

    async def _visit(self) -> None:
        async with connect(self._url, ping_interval=None, open_timeout=ANSWER_SECONDS, max_queue=None) as socket:
            self._socket = socket
            self.connections += 1
            asking = json.dumps({"type": "subscribe", "id": 1, "topics": self.topics, "since": self._cursors})
            await socket.send(asking)
            async with asyncio.timeout(ANSWER_SECONDS) as patience:
                async for text in socket:
                    message: Message = json.loads(text)
                    if message.get("type") == "subscribed":
                        patience.reschedule(None)
                        self.at_home.set()
                    elif message.get("type", "error") == "error":  # or API Gateway's own: a function failed
                        return  # and again
                    self._take(message)

    def _take(self, message: Message) -> None:
        self.heard = time.monotonic()
        if message["type"] == "connected":
            self.connection_id = message["connection_id"]
        for event_id in message.get("ids", ()):
            self.held.pop(event_id, None)
        for event in message.get("events", ()):
            self.repeats += event["id"] in self.held
            self.held.setdefault(event["id"], event)
        if "cursor" in message:
            self._cursors[message["source"]] = message["cursor"]
