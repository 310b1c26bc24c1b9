"""A real WebSocket client that keeps all it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeAlias

from websockets.asyncio.client import ClientConnection, connect

from chaincast.model.topics import Topic

Message: TypeAlias = dict[str, Any]  # a chaincast.v1 message

SECONDS = 90.0


class Client:
    """Connects, greets, subscribes; collects messages in the background until closed."""

    def __init__(self, url: str, **options: Any) -> None:
        """`options`: of websockets' `connect`."""
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
        """Wait until what was told so far meets the condition. Raises TimeoutError with what there is instead."""
        try:
            async with asyncio.timeout(seconds), self._arrived:
                await self._arrived.wait_for(lambda: condition(self.messages))
        except TimeoutError:
            raise TimeoutError(f"after {seconds} s: {len(self.messages)} messages, last {self.messages[-2:]}") from None

    async def message(self, type_: str, **fields: object) -> Message:
        """The first message of a type with these fields, once there is one."""

        def matches(message: Message) -> bool:
            return message["type"] == type_ and all(message.get(k) == v for k, v in fields.items())

        await self.until(lambda messages: any(map(matches, messages)))
        return next(filter(matches, self.messages))

    async def send(self, message: object) -> None:
        await self.socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    async def subscribe(self, *topics: str) -> None:
        """Subscribe and wait for the confirmation."""
        await self.send({"type": "subscribe", "id": topics[0], "topics": topics})
        answer = await self.message("subscribed", id=topics[0])
        assert answer["topics"] == [str(Topic.parse(t)) for t in topics]

    @property
    def events(self) -> list[Message]:
        return [event for m in self.messages if m["type"] == "events" for event in m["events"]]

    @property
    def cursors(self) -> list[str]:
        return [m["cursor"] for m in self.messages if m["type"] == "events"]

    async def until_event(self, id_: str, seconds: float = SECONDS) -> None:
        """Wait until an event has come."""
        await self.until(lambda messages: any(e["id"] == id_ for m in messages for e in m.get("events", [])), seconds)
