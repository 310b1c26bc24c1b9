"""Keeps a connection: whatever happens to its sockets, all that comes under the wanted topics is told, in order."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import uniform
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from chaincast.client.link import Link, Message, Refusal, refusal_of
from chaincast.client.options import Options, State, got, pause

Told = TypeVar("Told")
Take: TypeAlias = Callable[[Message], bool]
"""Is told every `events` and `retracted`; says whether there was room: if not, it is asked for again later."""
Stand: TypeAlias = Callable[[Message], object]
"""Is told every `subscribed`, for how tokens stand."""

BATCH_SECONDS = 0.02
PING_SECONDS = 240.0
PONG_SECONDS = 10.0
STEADY_SECONDS = 10.0
AGE_SECONDS = 100 * 60.0
"""API Gateway ends every connection after two hours: another is there before."""
AGE_SPREAD_SECONDS = 15 * 60.0
SHORTEST_LOG_SECONDS = 3600.0
_OF_TOPICS = re.compile(r".*_TOPIC|UNKNOWN_NETWORK|TOO_MANY_TOPICS|MAX_SUBSCRIPTIONS")


class Session:
    """See above. Made within a running event loop."""

    def __init__(self, url: str, options: Options, take: Take, stand: Stand) -> None:
        self.state = State.CONNECTING
        self._url = url
        self._options = options
        self._take = take
        self._stand = stand
        self._wanted: dict[str, asyncio.Future[None]] = {}
        """Topics, and whether each was listened to once (or is refused)."""
        self._cursors: dict[str, str] = {}
        self._link: Link | None = None
        self._linked = asyncio.Condition()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._behind = False
        self._lost_at = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._closings: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Connect. Raises `Refusal` if that cannot be done; from then on nothing ends it."""
        await self._adopt(await self._open())
        self._spawn(self._stay())
        self._spawn(self._agree())

    async def close(self) -> None:
        """End it, for good."""
        self._to(State.CLOSED)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._link is not None:
            self._dismiss(self._link)
            self._link = None
        await asyncio.gather(*self._closings)
        async with self._linked:
            self._linked.notify_all()

    def want(self, topic: str) -> asyncio.Future[None]:
        """Listen to a topic; the answer is done when it is listened to, or holds the `Refusal`. What comes within some
        milliseconds is one message: subscribes are counted."""
        known = self._wanted.get(topic)
        if known is None or _is_refused(known):
            known = self._wanted[topic] = _verdict()
            self._changed.set()
        return known

    def unwant(self, topic: str) -> None:
        """Stop listening to a topic."""
        if (future := self._wanted.pop(topic, None)) is not None:
            future.cancel()
        self._changed.set()

    async def ask(self, type_: str, **fields: Any) -> Message:
        """The answer to a message, as soon as there is a connection. Raises `Refusal`."""
        async with self._linked:
            await self._linked.wait_for(lambda: self._link is not None or self.state is State.CLOSED)
        if self._link is None:
            raise Refusal("CLOSED", "the client was closed")
        return await self._link.ask(type_, **fields)

    def make_room(self) -> None:
        """There is room again."""
        self._room.set()

    @property
    def behind(self) -> bool:
        """Whether it waits for room."""
        return self._behind

    def _to(self, state: State) -> None:
        if state is not self.state is not State.CLOSED:
            self.state = state
            self._tell(self._options.on_state, state)

    @staticmethod
    def _tell(whom: Callable[[Told], object], what: Told) -> None:
        """Whom it fails, the event loop hears of it: it is not our failure."""
        asyncio.get_running_loop().call_soon(whom, what)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        _held(self._tasks, work)

    def _dismiss(self, link: Link) -> None:
        """End a link; nobody waits for it but `close`."""
        _held(self._closings, link.close())

    async def _stay(self) -> None:
        """Connect, again and again."""
        tries, since = 0, time.monotonic()
        while True:
            # Until none is left: another may have taken a link's place.
            while (link := self._link) is not None and not link.over:
                await link.gone()
            if self._link is not None:
                self._lost_at = time.monotonic()
                self._dismiss(self._link)
                self._link = None
                tries = 0 if time.monotonic() - since > STEADY_SECONDS else tries
            wait = pause(tries)
            if self._behind:
                self._to(State.BEHIND)
                await self._room.wait()
                self._behind, wait = False, 0.0
            self._to(State.WAITING)
            await asyncio.sleep(wait)
            self._to(State.CONNECTING)
            since, tries = time.monotonic(), tries + 1
            try:
                await self._adopt(await self._open())
            except Refusal as refusal:
                if refusal.code.startswith("HTTP_"):
                    self._tell(self._options.on_error, refusal)
                await asyncio.sleep(refusal.retry_after)

    async def _open(self) -> Link:
        """A link that listens to all that is wanted, and brings what came since the last one. Raises `Refusal`."""
        url, subprotocols = self._url, ["chaincast.v1"]
        if self._options.ticket is not None:
            ticket = quote(await got(self._options.ticket))
            url = f"{url}{'&' if '?' in url else '?'}ticket={ticket}"
        elif self._options.token is not None:
            subprotocols.append(f"chaincast.token.{await got(self._options.token)}")
        link = await Link.open(url, subprotocols, self._hear)
        try:
            if topics := self._agreeable():
                await self._subscribe(link, topics, dict(self._cursors))
        except BaseException:
            self._dismiss(link)
            raise
        return link

    async def _adopt(self, link: Link) -> None:
        before, self._link = self._link, link
        if before is not None:
            self._dismiss(before)
        self._spawn(self._tend(link))
        self._to(State.OPEN)
        async with self._linked:
            self._linked.notify_all()
        self._changed.set()

    async def _tend(self, link: Link) -> None:
        """Ping it while it is quiet; have another in its place before it is too old."""
        ends = time.monotonic() + AGE_SECONDS + uniform(0, AGE_SPREAD_SECONDS)  # noqa: S311 - jitter, no secret
        while not link.over and self._link is link:
            with suppress(TimeoutError):
                await asyncio.wait_for(link.gone(), PING_SECONDS / 2)
            try:
                if time.monotonic() > ends:
                    await self._replace(link)
                elif not link.over and time.monotonic() - link.said_at >= PING_SECONDS / 2:
                    await link.ask("ping", patience=PONG_SECONDS)
            except Refusal:
                link.abandon()  # then as after any other loss

    async def _replace(self, link: Link) -> None:
        """Another link in the place of this one, without a gap: until it listens, the old one tells."""
        following = await self._open()
        if self._link is link and not link.over:
            await self._adopt(following)
        else:
            self._dismiss(following)

    def _agreeable(self) -> list[str]:
        """Topics that are wanted, but for those that are refused."""
        return [topic for topic, known in self._wanted.items() if not _is_refused(known)]

    async def _agree(self) -> None:
        """Whenever what is wanted is another: listen to that."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(BATCH_SECONDS)
            self._changed.clear()
            link = self._link
            if link is None or link.over:
                continue  # the next one listens to all
            try:
                if spare := sorted(link.live - self._wanted.keys()):
                    await link.ask("unsubscribe", topics=spare)
                    link.live.difference_update(spare)
                if missing := [topic for topic in self._agreeable() if topic not in link.live]:
                    await self._subscribe(link, missing, {})
            except Refusal as refusal:
                if refusal.retry_after:
                    await asyncio.sleep(refusal.retry_after)
                    self._changed.set()
                else:
                    link.abandon()

    async def _subscribe(self, link: Link, topics: list[str], since: dict[str, str]) -> None:
        """Listen to topics, which may have to be several messages: each resumes from where all began. Raises
        `Refusal` of what is not about a topic."""
        try:
            resuming: dict[str, Any] = {"since": since} if since else {}
            told = await link.ask("subscribe", topics=topics, cursors=True, **resuming)
        except Refusal as refusal:
            if refusal.code == "CURSOR_EXPIRED":
                source, oldest = str(refusal.details["source"]), str(refusal.details["oldest"])
                # Who was connected until a moment ago has missed nothing: the source was quiet for longer than its
                # Log is kept.
                if self._link is None and time.monotonic() - self._lost_at > SHORTEST_LOG_SECONDS:
                    self._tell(self._options.on_gap, source)
                self._cursors[source] = oldest
                await self._subscribe(link, topics, since | {source: oldest})
            elif refusal.code == "BAD_CURSOR":
                for source in since:
                    self._tell(self._options.on_gap, source)
                self._cursors.clear()
                await self._subscribe(link, topics, {})
            elif _OF_TOPICS.fullmatch(refusal.code):
                await self._divide(link, topics, since, refusal)
            else:
                raise
            return
        link.live.update(topics)
        self._cursors = told.get("cursors", {}) | self._cursors
        self._stand(told)
        for topic in topics:
            if (known := self._wanted.get(topic)) is not None and not known.done():
                known.set_result(None)

    async def _divide(self, link: Link, topics: list[str], since: dict[str, str], refusal: Refusal) -> None:
        """One of these topics is refused, and all with it: find it, for the others' sake."""
        if len(topics) > 1:
            half = len(topics) // 2
            await self._subscribe(link, topics[:half], since)
            await self._subscribe(link, topics[half:], since)
            return
        known = self._wanted.get(topics[0])
        if known is None:
            return  # nobody wants it any more
        if known.done():  # nobody waits to hear of it: it was good once
            known = self._wanted[topics[0]] = _verdict()
            self._tell(self._options.on_error, refusal)
        known.set_exception(refusal)

    def _hear(self, link: Link, told: Message) -> None:
        match told["type"]:
            case "events" | "retracted" if not self._behind:
                if self._take(told):
                    self._cursors[told["source"]] = told["cursor"]
                else:
                    self._behind = True
                    self._room.clear()
                    link.abandon()
                    if self._link is not None:
                        self._link.abandon()
            case "auth_expired":
                self._spawn(self._renew(link))
            case "error":
                self._tell(self._options.on_error, refusal_of(told))

    async def _renew(self, link: Link) -> None:
        try:
            if callable(self._options.token):
                await link.ask("authenticate", token=await got(self._options.token))
            else:
                await self._replace(link)
        except Refusal as refusal:
            self._tell(self._options.on_error, refusal)


def _held(tasks: set[asyncio.Task[None]], work: Coroutine[object, object, None]) -> None:
    """Run it; it is held by the set until it is done: the event loop alone would not."""
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def _verdict() -> asyncio.Future[None]:
    """Whether a topic is listened to: to be answered, though nobody may be waiting for it."""
    verdict: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    verdict.add_done_callback(lambda future: future.cancelled() or future.exception())
    return verdict


def _is_refused(verdict: asyncio.Future[None]) -> bool:
    return verdict.done() and verdict.exception() is not None
