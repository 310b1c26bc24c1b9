"""A small model of a stack for clients: it stores events, delivers them, replays them, and fails on request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

from websockets.asyncio.server import Server as Listening
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from chaincast.model.cursors import format_cursor
from chaincast.model.events import Event, event_to_wire
from chaincast.model.topics import Topic, wildcard_forms

Message: TypeAlias = dict[str, Any]

SOURCE = "bsc"
SILENCE: Message = {"type": "silence"}
SECONDS = 30.0


class Server:
    """A server, made by `start`. `instead(message)` returns a reply, None for the server's own, or `SILENCE`."""

    def __init__(self) -> None:
        self.said: list[Message] = []
        self.requests: list[Request] = []
        self.instead: Callable[[Message], Message | None] = lambda said: None
        self.refuse: Callable[[ServerConnection], Response | None] = lambda connection: None
        self._log: list[Message] = []
        self._told: dict[str, Event] = {}
        self._listening: dict[ServerConnection, set[str]] = {}
        self._url = ""

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[Server]:
        server = cls()
        listening: Listening = await serve(
            server._serve, "127.0.0.1", 0, process_request=server._admit, select_subprotocol=lambda *_: None
        )
        async with listening:
            server._url = f"ws://127.0.0.1:{next(iter(listening.sockets)).getsockname()[1]}/prod"
            yield server

    @property
    def url(self) -> str:
        return self._url

    @property
    def subscribes(self) -> list[Message]:
        return [said for said in self.said if said["type"] == "subscribe"]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on the clients."""
        async with asyncio.timeout(SECONDS):
            while not condition():  # noqa: ASYNC110 - conditions are about anything
                await asyncio.sleep(0.002)

    async def listened(self, topic: str) -> None:
        """Wait until a client subscribes to a topic."""
        await self.until(lambda: any(topic in topics for topics in self._listening.values()))

    async def happen(self, *topics: str, kind: str = "trade") -> list[Event]:
        """Deliver a block of events, one for each of these topics. Return the events."""
        seq = len(self._log) + 1
        events = [
            Event(id=f"{SOURCE}:{seq}:{n}", kind=kind, timestamp=seq, topics=(topic, f"network:{SOURCE}"), data={})
            for n, topic in enumerate(topics)
        ]
        await self.tell(events)
        return events

    async def tell(self, events: list[Event]) -> None:
        """Deliver these events, perhaps again, as one block."""
        self._told |= {event.id: event for event in events}
        await self._append({"type": "events", "ids": [event.id for event in events]})

    async def retract(self, *ids: str) -> None:
        await self._append({"type": "retracted", "ids": [*ids]})

    def cut(self) -> None:
        """Break every connection."""
        for connection in [*self._listening]:
            connection.transport.abort()

    async def shout(self, message: Message) -> None:
        """Send a message to all clients."""
        await self._to_all(lambda connection: _say(connection, message))

    async def _append(self, block: Message) -> None:
        self._log.append(block | {"source": SOURCE, "cursor": format_cursor(len(self._log) + 1)})
        await self._to_all(lambda connection: self._tell(connection, self._log[-1]))

    async def _to_all(self, tell: Callable[[ServerConnection], Awaitable[None]]) -> None:
        for connection in [*self._listening]:
            await tell(connection)

    async def _tell(self, connection: ServerConnection, block: Message) -> None:
        topics = self._listening.get(connection, set())
        heard = [
            event
            for event in map(self._told.__getitem__, block["ids"])
            if any(form in topics for topic in event.topics for form in wildcard_forms(topic))
        ]
        if heard and block["type"] == "events":
            told = {name: value for name, value in block.items() if name != "ids"}
            await _say(connection, told | {"events": [event_to_wire(event) for event in heard]})
        elif heard:
            await _say(connection, block | {"ids": [event.id for event in heard]})

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.requests.append(request)
        return self.refuse(connection)

    async def _serve(self, connection: ServerConnection) -> None:
        self._listening[connection] = set()
        await _say(connection, {"type": "connected", "connection_id": "c", "dialect": "chaincast.v1", "networks": []})
        try:
            with suppress(ConnectionClosed):
                async for text in connection:
                    await self._answer(connection, json.loads(text))
        finally:
            del self._listening[connection]

    async def _answer(self, connection: ServerConnection, said: Message) -> None:
        self.said.append(said)
        instead = self.instead(said)
        if instead is SILENCE:
            return
        if instead is not None:
            await _say(connection, {"id": said["id"]} | instead if "type" in instead else instead)
            return
        topics = [str(Topic.parse(topic)) for topic in said.get("topics", [])]
        match said["type"]:
            case "subscribe":
                self._listening[connection].update(topics)
                cursors = {SOURCE: format_cursor(len(self._log))}
                await _say(connection, {"type": "subscribed", "id": said["id"], "topics": topics, "cursors": cursors})
                if (since := said.get("since", {}).get(SOURCE)) is not None:
                    for block in self._log[int(since) :]:
                        await self._tell(connection, block)
            case "unsubscribe":
                self._listening[connection].difference_update(topics)
                await _say(connection, {"type": "unsubscribed", "id": said["id"], "topics": topics})
            case "get" if said["what"] == "price":
                await _say(connection, {"type": "price", "id": said["id"], "event": None})
            case "get":
                events = [event_to_wire(event) for event in reversed(self._told.values())][: said["limit"]]
                answer = {"type": "history", "id": said["id"], "what": said["what"], "before": None, "events": events}
                await _say(connection, answer)
            case "ping":
                await _say(connection, {"type": "pong", "id": said["id"], "timestamp": 0})
            case "authenticate":
                await _say(connection, {"type": "authenticated", "id": said["id"], "user": None})


async def _say(connection: ServerConnection, message: Message) -> None:
    with suppress(ConnectionClosed):
        await connection.send(json.dumps(message))
