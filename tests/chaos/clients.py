"""Clients as docs/protocol.md describes them: they reconnect, resume, and detect duplicates by event ids."""

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

ANSWER_SECONDS = 15.0
"""Time limit of a connection attempt and of a response, as in Chaincast's own clients."""
FIRST_PAUSE, MAX_PAUSE = 0.5, 8.0
"""Seconds before a connection attempt: the first ceiling, which doubles with each failure, and the last one.

Clients that try again at once would keep a slow machine busy with handshakes that come too late for them.
"""


class Survivor:
    """One client. `held`: the received events that were not retracted, by id, in order of arrival."""

    def __init__(self, url: str, topics: tuple[str, ...], cursors: Mapping[str, str], dice: random.Random) -> None:
        self.topics = topics
        self.held: dict[str, Message] = {}
        self.repeats = self.connections = 0
        self.connection_id = ""
        self.last_message = 0.0
        """Time of the last message, on the monotonic clock."""
        self.subscribed = asyncio.Event()
        """Set while the client is connected and subscribed."""
        self._url = url
        self._cursors = dict(cursors)
        self._dice = dice
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to connect."""
        self._task = asyncio.create_task(self._reconnect_loop())

    @property
    def failure(self) -> str:
        """The error that ended the client; empty while it runs, as it should."""
        failed = self._task is not None and self._task.done() and not self._task.cancelled()
        return repr(self._task.exception()) if failed and self._task is not None else ""

    async def stop(self) -> None:
        """Close the connection and stop to reconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    def cut(self) -> None:
        """Abort the connection without a close frame."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def _reconnect_loop(self) -> None:
        failures = 0
        while True:
            with suppress(OSError, InvalidHandshake, TimeoutError, ConnectionClosed):
                await self._run_connection()
            failures = 0 if self.subscribed.is_set() else failures + 1
            self.subscribed.clear()
            await asyncio.sleep(self._dice.uniform(0.1, min(MAX_PAUSE, FIRST_PAUSE * 2**failures)))

    async def _run_connection(self) -> None:
        async with connect(self._url, ping_interval=None, open_timeout=ANSWER_SECONDS, max_queue=None) as socket:
            self._socket = socket
            self.connections += 1
            request = {"type": "subscribe", "id": 1, "topics": self.topics, "since": self._cursors}
            await socket.send(json.dumps(request))
            async with asyncio.timeout(ANSWER_SECONDS) as timeout:
                async for text in socket:
                    message: Message = json.loads(text)
                    if message.get("type") == "subscribed":
                        timeout.reschedule(None)
                        self.subscribed.set()
                    elif message.get("type", "error") == "error":  # also API Gateway's own error, without a type
                        return  # reconnect
                    self._on_message(message)

    def _on_message(self, message: Message) -> None:
        self.last_message = time.monotonic()
        if message["type"] == "connected":
            self.connection_id = message["connection_id"]
        for event_id in message.get("ids", ()):
            self.held.pop(event_id, None)
        for event in message.get("events", ()):
            self.repeats += event["id"] in self.held
            self.held.setdefault(event["id"], event)
        if "cursor" in message:
            self._cursors[message["source"]] = message["cursor"]
