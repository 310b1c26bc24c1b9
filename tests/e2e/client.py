"""A WebSocket client that keeps all messages that it receives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeAlias

from websockets.asyncio.client import ClientConnection, connect

from chaincast.model.topics import Topic

Message: TypeAlias = dict[str, Any]  # a chaincast.v1 message

SECONDS = 300.0


class Client:
    """Collects messages in the background while it is connected. `options` are those of `websockets.connect`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._url = url
        self._options = options
        self._arrived = asyncio.Condition()
        self.messages: list[Message] = []
        self.socket: ClientConnection
        self._reading: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self.socket = await connect(self._url, open_timeout=SECONDS, **self._options)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self.socket.close()

    async def _read(self) -> None:
        async for text in self.socket:
            async with self._arrived:
                self.messages.append(json.loads(text))
                self._arrived.notify_all()

    async def until(self, condition: Callable[[list[Message]], bool], seconds: float = SECONDS) -> None:
        """Wait until the messages so far meet the condition. Raises `TimeoutError` with the last messages."""
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: condition(self.messages))
        except TimeoutError:
            raise TimeoutError(f"after {seconds} s: {len(self.messages)} messages, last {self.messages[-2:]}") from None

    async def message(self, type_: str, **fields: object) -> Message:
        """Wait for a message of a type with these fields, and return the first one."""

        def matches(message: Message) -> bool:
            return message["type"] == type_ and all(message.get(k) == v for k, v in fields.items())

        await self.until(lambda messages: any(map(matches, messages)))
        return next(filter(matches, self.messages))

    async def send(self, message: object) -> None:
        """Send a message: text and bytes as they are, other values as JSON."""
        await self.socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    async def subscribe(self, *topics: str) -> None:
        """Subscribe and wait for the confirmation."""
        await self.send({"type": "subscribe", "id": topics[0], "topics": topics})
        answer = await self.message("subscribed", id=topics[0])
        assert answer["topics"] == [str(Topic.parse(t)) for t in topics]

    @property
    def events(self) -> list[Message]:
        """All events received so far, in order."""
        return [event for m in self.messages if m["type"] == "events" for event in m["events"]]

    @property
    def cursors(self) -> list[str]:
        """The cursors of all messages with events, in order."""
        return [m["cursor"] for m in self.messages if m["type"] == "events"]

    async def until_event(self, id_: str, seconds: float = SECONDS) -> None:
        """Wait until an event has arrived."""
        await self.until(lambda messages: any(e["id"] == id_ for m in messages for e in m.get("events", [])), seconds)
