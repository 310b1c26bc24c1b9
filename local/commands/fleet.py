"""Many clients at once, and what they were told: counted, not kept.

What was delivered is measured against what should have been: of an event that any client has, every client is owed a
copy that listened to one of its topics when it was first heard of; of those that were published and nobody has, too.
What is first heard of while clients come is not judged: who was there in time, nobody can say.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from chaincast.client.session import PING_SECONDS
from chaincast.model.topics import wildcard_forms

_REMEMBERED = 512
"""Ids that a client tells repeats by."""

_HANDSHAKE_SECONDS = 30.0


@dataclass(slots=True)
class Tally:
    """What happened so far. `latencies` in ms, from an event's timestamp to a client's having it."""

    connected: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    """Connections that ended although nobody closed them."""
    said: int = 0
    messages: int = 0
    """All that came: greetings and answers, too."""
    owed: int = 0
    delivered: int = 0
    repeated: int = 0
    events: int = 0
    latencies: array[float] = field(default_factory=lambda: array("d"))

    @property
    def share(self) -> float:
        """Of what was owed, how much was delivered."""
        return self.delivered / self.owed if self.owed else 1.0


@dataclass(slots=True)
class _Client:
    topics: tuple[str, ...]
    socket: ClientConnection
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    known: set[str] = field(default_factory=set)

    def is_new(self, event_id: str) -> bool:
        if event_id in self.known:
            return False
        if len(self.recent) == _REMEMBERED:
            self.known.discard(self.recent[0])
        self.recent.append(event_id)
        self.known.add(event_id)
        return True


class Fleet:
    """The clients. `topics_of(n)`: what the n-th listens to."""

    def __init__(self, url: str, topics_of: Callable[[int], Sequence[str]]) -> None:
        self.tally = Tally()
        self._url = url
        self._topics_of = topics_of
        self._clients: list[_Client] = []
        self._listeners: Counter[str] = Counter()
        self._settled = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard: set[str] = set()
        self._overlooked: set[str] = set()
        self._judging = True
        self._unheard: Counter[str] = Counter()
        """Events by topic that were published, less those that were heard of (which may come first)."""
        self._closing = False

    @property
    def size(self) -> int:
        return len(self._clients)

    async def grow(self, size: int, per_second: float, told: Callable[[], object] = lambda: None) -> None:
        """Connect more clients, until there are so many; `told` is called after each, in or refused."""
        self._judging = False
        began, first = time.monotonic(), self.size
        wanted = size - first
        joining: set[asyncio.Task[None]] = set()
        for number in range(wanted):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            task = asyncio.create_task(self._join(first + number))
            joining.add(task)
            task.add_done_callback(joining.discard)
            task.add_done_callback(lambda _: told())
        await asyncio.gather(*joining)
        self._judging = True

    async def overlook(self, seconds: float) -> None:
        """Judge nothing that is first heard of within so long: it may have been on its way before clients came."""
        self._judging = False
        await asyncio.sleep(seconds)
        self._judging = True

    def expect(self, topic: str) -> None:
        """An event was published, for who listens to the topic."""
        self._unheard[topic] += 1

    def miss(self) -> None:
        """Count as owed what was published and nobody has heard of."""
        for topic, count in self._unheard.items():
            self.tally.owed += max(count, 0) * self._listeners[topic]
            self.tally.events += max(count, 0)
        self._unheard.clear()

    async def settle(self, seconds: float) -> None:
        """Wait until all that is owed is delivered, for so long at most."""
        self._check_settled()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), seconds)

    async def close(self) -> None:
        """End all connections."""
        self._closing = True
        for start in range(0, len(self._clients), 200):
            await asyncio.gather(*(client.socket.close() for client in self._clients[start : start + 200]))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _join(self, number: int) -> None:
        topics = tuple(self._topics_of(number))
        try:
            socket = await connect(
                self._url, ping_interval=None, open_timeout=_HANDSHAKE_SECONDS, max_queue=None, compression=None
            )
        except InvalidStatus as error:
            self.tally.refused[f"HTTP {error.response.status_code}"] += 1
            return
        except (OSError, InvalidHandshake, TimeoutError) as error:
            self.tally.refused[type(error).__name__] += 1
            return
        client = _Client(topics, socket)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._listen(client, ready))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await self._say(client, {"type": "subscribe", "id": 1, "topics": topics})
        with contextlib.suppress(ConnectionClosed):
            await ready

    async def _say(self, client: _Client, message: dict[str, object]) -> None:
        with contextlib.suppress(ConnectionClosed):
            await client.socket.send(json.dumps(message))
            self.tally.said += 1

    async def _listen(self, client: _Client, ready: asyncio.Future[None]) -> None:
        pinging = asyncio.create_task(self._ping(client))
        try:
            async for text in client.socket:
                self.tally.messages += 1
                message = json.loads(text)
                kind = message.get("type", "error")
                if kind == "events":
                    self._take(client, message["events"])
                elif kind == "subscribed":
                    self._clients.append(client)
                    self.tally.connected += 1
                    self._listeners.update(client.topics)
                    ready.set_result(None)
                elif kind == "error":
                    # Without a code it is API Gateway's own: a function failed.
                    self.tally.refused[message.get("code") or str(message.get("message"))] += 1
                    await client.socket.close()
        except ConnectionClosed:
            pass
        finally:
            pinging.cancel()
            if not ready.done():
                ready.set_result(None)
            elif not self._closing:
                self.tally.lost += 1
                self._listeners.subtract(client.topics)

    async def _ping(self, client: _Client) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self._say(client, {"type": "ping"})

    def _take(self, client: _Client, events: list[dict[str, Any]]) -> None:
        now = time.time() * 1000
        tally = self.tally
        for event in events:
            if self._is_overlooked(event["id"]):
                continue
            if not client.is_new(event["id"]):
                tally.repeated += 1
                continue
            self._hear(event["id"], event["topics"])
            tally.delivered += 1
            tally.latencies.append(now - event["timestamp"])
        self._check_settled()

    def _is_overlooked(self, event_id: str) -> bool:
        if not self._judging and event_id not in self._heard:
            self._overlooked.add(event_id)
        return event_id in self._overlooked

    def _hear(self, event_id: str, topics: Iterable[str]) -> None:
        """An event is heard of: so many clients are owed it."""
        if event_id in self._heard:
            return
        # Each client listens to one topic of the fleet's, or to several that no event has in common.
        heard = [*topics]
        self._heard.add(event_id)
        self._unheard.subtract(heard)
        self.tally.owed += sum(self._listeners.get(form, 0) for topic in heard for form in wildcard_forms(topic))
        self.tally.events += 1

    def _check_settled(self) -> None:
        if self.tally.delivered >= self.tally.owed and not any(count > 0 for count in self._unheard.values()):
            self._settled.set()
        else:
            self._settled.clear()
