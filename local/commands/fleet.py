"""A fleet of test clients, which counts what they receive.

An event counts as expected for every client that was subscribed to one of its topics when the first client received it.
Published events that no client received also count as expected. Events that are first received while clients connect
are ignored, because it is unknown which clients were subscribed in time.
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

_DEDUP_WINDOW = 512
"""Number of event ids that a client remembers to detect duplicates."""

_HANDSHAKE_SECONDS = 30.0


@dataclass(slots=True)
class Tally:
    """Counts of a measurement so far."""

    connected: int = 0
    """Clients that connected and subscribed."""
    refused: Counter[str] = field(default_factory=Counter)
    """Failed attempts to connect or subscribe, by reason."""
    lost: int = 0
    """Connections that the fleet did not close itself."""
    sent: int = 0
    """Messages that clients sent."""
    messages: int = 0
    """Messages that clients received, with greetings and replies."""
    expected: int = 0
    """Events that clients should have received, counted for each client."""
    delivered: int = 0
    """Events that clients received, counted for each client, without duplicates."""
    duplicates: int = 0
    """Events that a client received again."""
    events: int = 0
    """Events, each counted once."""
    latencies: array[float] = field(default_factory=lambda: array("d"))
    """Milliseconds from the timestamp of an event to its arrival at a client, for each delivery."""

    @property
    def share(self) -> float:
        """The share of the expected deliveries that arrived, from 0 to 1."""
        return self.delivered / self.expected if self.expected else 1.0


@dataclass(slots=True)
class _Client:
    topics: tuple[str, ...]
    socket: ClientConnection
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=_DEDUP_WINDOW))
    seen: set[str] = field(default_factory=set)

    def is_new(self, event_id: str) -> bool:
        if event_id in self.seen:
            return False
        if len(self.recent) == _DEDUP_WINDOW:
            self.seen.discard(self.recent[0])
        self.recent.append(event_id)
        self.seen.add(event_id)
        return True


class Fleet:
    """The clients of one stack. `topics_of(n)`: the topics that client number n subscribes to."""

    def __init__(self, url: str, topics_of: Callable[[int], Sequence[str]]) -> None:
        self.tally = Tally()
        self._url = url
        self._topics_of = topics_of
        self._clients: list[_Client] = []
        self._subscribers: Counter[str] = Counter()
        """Number of clients by topic."""
        self._complete = asyncio.Event()
        """Set while every expected event has been delivered."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._counted: set[str] = set()
        self._ignored: set[str] = set()
        self._counting = True
        """False while events that are received for the first time are ignored."""
        self._outstanding: Counter[str] = Counter()
        """Published minus received events, by topic. Negative if an event arrives before `expect` is called."""
        self._closing = False

    @property
    def size(self) -> int:
        """The number of clients that connected."""
        return len(self._clients)

    async def grow(self, size: int, per_second: float, on_progress: Callable[[], object] = lambda: None) -> None:
        """Connect clients until there are `size`. `on_progress` is called after each attempt, failed or not."""
        self._counting = False
        began, first = time.monotonic(), self.size
        missing = size - first
        joining: set[asyncio.Task[None]] = set()
        for number in range(missing):
            await asyncio.sleep(max(0.0, began + number / per_second - time.monotonic()))
            task = asyncio.create_task(self._join(first + number))
            joining.add(task)
            task.add_done_callback(joining.discard)
            task.add_done_callback(lambda _: on_progress())
        await asyncio.gather(*joining)
        self._counting = True

    async def ignore_new_events(self, seconds: float) -> None:
        """Ignore events first received within `seconds`: they may have been sent before the last client subscribed."""
        self._counting = False
        await asyncio.sleep(seconds)
        self._counting = True

    def expect(self, topic: str) -> None:
        """Expect one more event of a topic, which was published."""
        self._outstanding[topic] += 1

    def count_undelivered(self) -> None:
        """Count published events that no client received as expected."""
        for topic, count in self._outstanding.items():
            self.tally.expected += max(count, 0) * self._subscribers[topic]
            self.tally.events += max(count, 0)
        self._outstanding.clear()

    async def wait_complete(self, seconds: float) -> None:
        """Wait until every expected event is delivered, at most `seconds`."""
        self._update_complete()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._complete.wait(), seconds)

    async def close(self) -> None:
        """Close all connections."""
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
        await self._send(client, {"type": "subscribe", "id": 1, "topics": topics})
        with contextlib.suppress(ConnectionClosed):
            await ready

    async def _send(self, client: _Client, message: dict[str, object]) -> None:
        with contextlib.suppress(ConnectionClosed):
            await client.socket.send(json.dumps(message))
            self.tally.sent += 1

    async def _listen(self, client: _Client, ready: asyncio.Future[None]) -> None:
        pinging = asyncio.create_task(self._ping(client))
        try:
            async for text in client.socket:
                self.tally.messages += 1
                message = json.loads(text)
                kind = message.get("type", "error")
                if kind == "events":
                    self._count(client, message["events"])
                elif kind == "subscribed":
                    self._clients.append(client)
                    self.tally.connected += 1
                    self._subscribers.update(client.topics)
                    ready.set_result(None)
                elif kind == "error":
                    # An error without a code is API Gateway's own message after a function failed.
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
                self._subscribers.subtract(client.topics)

    async def _ping(self, client: _Client) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            await self._send(client, {"type": "ping"})

    def _count(self, client: _Client, events: list[dict[str, Any]]) -> None:
        now = time.time() * 1000
        tally = self.tally
        for event in events:
            if self._is_ignored(event["id"]):
                continue
            if not client.is_new(event["id"]):
                tally.duplicates += 1
                continue
            self._count_expected(event["id"], event["topics"])
            tally.delivered += 1
            tally.latencies.append(now - event["timestamp"])
        self._update_complete()

    def _is_ignored(self, event_id: str) -> bool:
        if not self._counting and event_id not in self._counted:
            self._ignored.add(event_id)
        return event_id in self._ignored

    def _count_expected(self, event_id: str, topics: Iterable[str]) -> None:
        """Add the deliveries of an event to those expected, when the first client receives it."""
        if event_id in self._counted:
            return
        # No client is subscribed to two topics of one event, so the subscribers of all its topics can be added up.
        event_topics = [*topics]
        self._counted.add(event_id)
        self._outstanding.subtract(event_topics)
        self.tally.expected += sum(
            self._subscribers.get(form, 0) for topic in event_topics for form in wildcard_forms(topic)
        )
        self.tally.events += 1

    def _update_complete(self) -> None:
        outstanding = any(count > 0 for count in self._outstanding.values())
        if self.tally.delivered >= self.tally.expected and not outstanding:
            self._complete.set()
        else:
            self._complete.clear()
