"""A connection that outlives its sockets: all events of the wanted topics are delivered, in order."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import uniform
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from chaincast.client.options import Options, State, pause, resolve_credential
from chaincast.client.socket import Message, Refusal, Socket, refusal_of

Argument = TypeVar("Argument")
Accept: TypeAlias = Callable[[Message], bool]
"""Receives `events` and `retracted` messages. Returns False if there is no room: the message is fetched again later."""
OnSnapshots: TypeAlias = Callable[[Message], object]
"""Receives `subscribed` messages, which may contain snapshots of tokens."""

BATCH_SECONDS = 0.02
PING_SECONDS = 240.0
PONG_SECONDS = 10.0
STEADY_SECONDS = 10.0
AGE_SECONDS = 100 * 60.0
"""API Gateway ends every connection after two hours; the session replaces it before."""
AGE_SPREAD_SECONDS = 15 * 60.0
SHORTEST_LOG_SECONDS = 3600.0
_OF_TOPICS = re.compile(r".*_TOPIC|UNKNOWN_NETWORK|TOO_MANY_TOPICS|MAX_SUBSCRIPTIONS")


class Session:
    """A session. It must be created within a running event loop."""

    def __init__(self, url: str, options: Options, accept: Accept, on_snapshots: OnSnapshots) -> None:
        self.state = State.CONNECTING
        self._url = url
        self._options = options
        self._accept = accept
        self._on_snapshots = on_snapshots
        self._wanted: dict[str, asyncio.Future[None]] = {}
        """Wanted topics, each with a future that is done once the topic is subscribed to or refused."""
        self._cursors: dict[str, str] = {}
        self._current: Socket | None = None
        self._connected = asyncio.Condition()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._behind = False
        self._lost_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Connect. Raise `Refusal` if that fails; later losses are recovered."""
        await self._use(await self._open())
        self._spawn(self._reconnect_loop())
        self._spawn(self._sync_loop())

    async def close(self) -> None:
        """Close the session for good."""
        self._set_state(State.CLOSED)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._current is not None:
            self._close_soon(self._current)
            self._current = None
        await asyncio.gather(*self._closings)
        async with self._connected:
            self._connected.notify_all()

    def add_topic(self, topic: str) -> asyncio.Future[None]:
        """Subscribe to a topic. The future is done when the topic is subscribed to, or holds the `Refusal`.

        Changes within some milliseconds share one message, because the server limits subscribes.
        """
        known = self._wanted.get(topic)
        if known is None or _is_refused(known):
            known = self._wanted[topic] = _new_verdict()
            self._changed.set()
        return known

    def remove_topic(self, topic: str) -> None:
        """Unsubscribe from a topic."""
        if (future := self._wanted.pop(topic, None)) is not None:
            future.cancel()
        self._changed.set()

    async def ask(self, type_: str, **fields: Any) -> Message:
        """Send a message as soon as there is a connection, and return the reply. Raise `Refusal`."""
        async with self._connected:
            await self._connected.wait_for(lambda: self._current is not None or self.state is State.CLOSED)
        if self._current is None:
            raise Refusal("CLOSED", "the client was closed")
        return await self._current.ask(type_, **fields)

    def resume(self) -> None:
        """Continue after `behind`: the receiver has room again."""
        self._room.set()

    @property
    def behind(self) -> bool:
        """True while the session waits for room."""
        return self._behind

    def _set_state(self, state: State) -> None:
        if state is self.state or self.state is State.CLOSED:
            return
        self.state = state
        self._notify(self._options.on_state, state)

    @staticmethod
    def _notify(callback: Callable[[Argument], object], argument: Argument) -> None:
        """Call a callback from the event loop, so that its exceptions go to the loop's handler, not to the session."""
        asyncio.get_running_loop().call_soon(callback, argument)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        _run_held(self._tasks, work)

    def _close_soon(self, socket: Socket) -> None:
        """Close a socket in the background. Only `close` waits for it."""
        _run_held(self._closings, socket.close())

    async def _reconnect_loop(self) -> None:
        """Reconnect until the session is closed."""
        tries, since = 0, time.monotonic()
        while True:
            # Wait until no socket is left: a new one may have replaced this one.
            while (socket := self._current) is not None and not socket.is_closed:
                await socket.wait_closed()
            if self._current is not None:
                self._lost_at = time.monotonic()
                self._close_soon(self._current)
                self._current = None
                tries = 0 if time.monotonic() - since > STEADY_SECONDS else tries
            wait = pause(tries)
            if self._behind:
                self._set_state(State.BEHIND)
                await self._room.wait()
                self._behind, wait = False, 0.0
            self._set_state(State.WAITING)
            await asyncio.sleep(wait)
            self._set_state(State.CONNECTING)
            since, tries = time.monotonic(), tries + 1
            try:
                await self._use(await self._open())
            except Refusal as refusal:
                if refusal.code.startswith("HTTP_"):
                    self._notify(self._options.on_error, refusal)
                await asyncio.sleep(refusal.retry_after)

    async def _open(self) -> Socket:
        """Open a socket that subscribes to all wanted topics and resumes from the cursors. Raise `Refusal`."""
        url, subprotocols = self._url, ["chaincast.v1"]
        if self._options.ticket is not None:
            ticket = quote(await resolve_credential(self._options.ticket))
            url = f"{url}{'&' if '?' in url else '?'}ticket={ticket}"
        elif self._options.token is not None:
            subprotocols.append(f"chaincast.token.{await resolve_credential(self._options.token)}")
        socket = await Socket.open(url, subprotocols, self._on_message)
        try:
            if topics := self._acceptable_topics():
                await self._subscribe(socket, topics, dict(self._cursors))
        except BaseException:
            self._close_soon(socket)
            raise
        return socket

    async def _use(self, socket: Socket) -> None:
        before, self._current = self._current, socket
        if before is not None:
            self._close_soon(before)
        self._spawn(self._maintain(socket))
        self._set_state(State.OPEN)
        async with self._connected:
            self._connected.notify_all()
        self._changed.set()

    async def _maintain(self, socket: Socket) -> None:
        """Ping a silent socket, and replace it before it is too old."""
        ends = time.monotonic() + AGE_SECONDS + uniform(0, AGE_SPREAD_SECONDS)  # noqa: S311 - jitter, no secret
        while not socket.is_closed and self._current is socket:
            with suppress(TimeoutError):
                await asyncio.wait_for(socket.wait_closed(), PING_SECONDS / 2)
            try:
                if time.monotonic() > ends:
                    await self._replace(socket)
                elif not socket.is_closed and time.monotonic() - socket.sent_at >= PING_SECONDS / 2:
                    await socket.ask("ping", patience=PONG_SECONDS)
            except Refusal:
                socket.abandon()  # reconnect as after any other loss

    async def _replace(self, socket: Socket) -> None:
        """Replace a socket without a gap: the old one delivers until the new one is subscribed."""
        following = await self._open()
        if self._current is socket and not socket.is_closed:
            await self._use(following)
        else:
            self._close_soon(following)

    def _acceptable_topics(self) -> list[str]:
        """Return the wanted topics except those that were refused."""
        return [topic for topic, known in self._wanted.items() if not _is_refused(known)]

    async def _sync_loop(self) -> None:
        """Keep the subscriptions of the current socket in sync with the wanted topics."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(BATCH_SECONDS)
            self._changed.clear()
            socket = self._current
            if socket is None or socket.is_closed:
                continue  # the next socket subscribes to all topics
            try:
                if spare := sorted(socket.subscribed - self._wanted.keys()):
                    await socket.ask("unsubscribe", topics=spare)
                    socket.subscribed.difference_update(spare)
                if missing := [topic for topic in self._acceptable_topics() if topic not in socket.subscribed]:
                    await self._subscribe(socket, missing, {})
            except Refusal as refusal:
                if refusal.retry_after:
                    await asyncio.sleep(refusal.retry_after)
                    self._changed.set()
                else:
                    socket.abandon()

    async def _subscribe(self, socket: Socket, topics: list[str], since: dict[str, str]) -> None:
        """Subscribe to topics. If that takes several messages, each resumes from the same cursors.

        Raise `Refusal` for errors that are not about a topic.
        """
        try:
            resuming: dict[str, Any] = {"since": since} if since else {}
            message = await socket.ask("subscribe", topics=topics, cursors=True, **resuming)
        except Refusal as refusal:
            if refusal.code == "CURSOR_EXPIRED":
                source, oldest = str(refusal.details["source"]), str(refusal.details["oldest"])
                # A client that was connected recently has missed nothing: the source was silent for longer than its
                # log is kept.
                if self._current is None and time.monotonic() - self._lost_at > SHORTEST_LOG_SECONDS:
                    self._notify(self._options.on_gap, source)
                self._cursors[source] = oldest
                await self._subscribe(socket, topics, since | {source: oldest})
            elif refusal.code == "BAD_CURSOR":
                for source in since:
                    self._notify(self._options.on_gap, source)
                self._cursors.clear()
                await self._subscribe(socket, topics, {})
            elif _OF_TOPICS.fullmatch(refusal.code):
                await self._isolate_refused(socket, topics, since, refusal)
            else:
                raise
            return
        socket.subscribed.update(topics)
        self._cursors = message.get("cursors", {}) | self._cursors
        self._on_snapshots(message)
        for topic in topics:
            if (known := self._wanted.get(topic)) is not None and not known.done():
                known.set_result(None)

    async def _isolate_refused(
        self, socket: Socket, topics: list[str], since: dict[str, str], refusal: Refusal
    ) -> None:
        """Subscribe to halves of the topics, to isolate the one that the server refuses."""
        if len(topics) > 1:
            half = len(topics) // 2
            await self._subscribe(socket, topics[:half], since)
            await self._subscribe(socket, topics[half:], since)
            return
        known = self._wanted.get(topics[0])
        if known is None:
            return  # no longer wanted
        if known.done():  # the topic was accepted before, so no call waits for the refusal
            known = self._wanted[topics[0]] = _new_verdict()
            self._notify(self._options.on_error, refusal)
        known.set_exception(refusal)

    def _on_message(self, socket: Socket, message: Message) -> None:
        match message["type"]:
            case "events" | "retracted" if not self._behind:
                if self._accept(message):
                    self._cursors[message["source"]] = message["cursor"]
                else:
                    self._behind = True
                    self._room.clear()
                    socket.abandon()
                    if self._current is not None:
                        self._current.abandon()
            case "auth_expired":
                self._spawn(self._reauthenticate(socket))
            case "error":
                self._notify(self._options.on_error, refusal_of(message))

    async def _reauthenticate(self, socket: Socket) -> None:
        try:
            if callable(self._options.token):
                await socket.ask("authenticate", token=await resolve_credential(self._options.token))
            else:
                await self._replace(socket)
        except Refusal as refusal:
            self._notify(self._options.on_error, refusal)


def _run_held(tasks: set[asyncio.Task[None]], work: Coroutine[object, object, None]) -> None:
    """Run a coroutine as a task that the set holds until it is done; the event loop holds only weak references."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _new_verdict() -> asyncio.Future[None]:
    """Return a future for the verdict on a topic. Its exception counts as retrieved even if no call waits for it."""
    verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    verdict.add_done_callback(lambda future: future.cancelled() or future.exception())
    return verdict


def _is_refused(verdict: asyncio.Future[None]) -> bool:
    return verdict.done() and verdict.exception() is not None
