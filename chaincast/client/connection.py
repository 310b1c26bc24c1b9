"""The public interface: a client, its subscriptions, and queries."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from chaincast.client.inbox import Inbox, Update
from chaincast.client.options import Options, State
from chaincast.client.session import Session
from chaincast.client.socket import Message
from chaincast.model.events import Event, Json, event_from_wire
from chaincast.model.topics import FAMILIES, Topic, wildcard_forms

DEDUP_WINDOW = 5_000
"""Number of recent events by which repeats and retractions are recognised."""

MAX_PENDING_EVENTS = 2_000
"""Maximum number of unread events of a subscription. Beyond it the connection is dropped until at most half is unread.
"""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of stored events, newest first. `before`: the argument for the next, older page; None on the last."""

    events: tuple[Event, ...]
    before: str | None


@dataclass(frozen=True, slots=True)
class TokenSnapshot:
    """The current state of a token: its newest price and trade, or None."""

    price: Event | None
    latest_trade: Event | None


class Subscription:
    """Updates of some topics, read by `async for`.

    It is active within `async with`, which raises `Refusal` if a topic is refused.
    """

    def __init__(self, client: Chaincast, topics: tuple[str, ...]) -> None:
        self.topics = topics
        self.snapshots: dict[str, TokenSnapshot] = {}
        """Snapshots of topics `token:…` at the time of subscribing."""
        self._client = client
        self._inbox = Inbox()
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            await self._client._activate(self)
        except BaseException:
            self._client._deactivate(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client._deactivate(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        while not len(self._inbox):
            if self._client.state is State.CLOSED:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        update = self._inbox.take()
        self._client._resume_if_room()
        return update


class Chaincast:
    """A client of a stack. Its subscriptions receive every event exactly once, whatever happens to connections."""

    def __init__(self, url: str, options: Options) -> None:
        self._session = Session(url, replace(options, on_state=self._on_state), self._accept, self._on_snapshots)
        self._user_on_state = options.on_state
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._seen: OrderedDict[str, Event] = OrderedDict()

    @property
    def state(self) -> State:
        return self._session.state

    def subscribe(self, *topics: str) -> Subscription:
        """Return a subscription to topics (docs/protocol.md), for use with `async with`. Refuse invalid topics."""
        return Subscription(self, tuple(str(Topic.parse(topic)) for topic in dict.fromkeys(topics)))

    async def get_price(self, network: str, token: str) -> Event | None:
        """Return a token's newest `price` event, or None. Like all queries, raise `Refusal`."""
        event = (await self._session.ask("get", what="price", network=network, token=token))["event"]
        return None if event is None else event_from_wire(event)

    async def get_trades(self, network: str, token: str, limit: int = 20, before: str | None = None) -> Page:
        """Return a token's trades, newest first. `limit`: 1 to 100."""
        return await self._page("trades", limit, before, network=network, token=token)

    async def get_prices(self, network: str, token: str, limit: int = 20, before: str | None = None) -> Page:
        """Return a token's past prices, newest first."""
        return await self._page("prices", limit, before, network=network, token=token)

    async def get_tokens(self, network: str, limit: int = 20, before: str | None = None) -> Page:
        """Return a network's newest tokens."""
        return await self._page("tokens", limit, before, network=network)

    async def get_alerts(self, network: str, alert: str, limit: int = 20, before: str | None = None) -> Page:
        """Return a network's alerts of one type, newest first."""
        return await self._page("alerts", limit, before, network=network, alert=alert)

    async def history(
        self, network: str, contract: str, events: Iterable[str] = (), limit: int = 20, before: str | None = None
    ) -> Page:
        """Return a contract's events, newest first; with `events`, only events of these names."""
        only = {"events": [*events]} if events else {}
        return await self._page("history", limit, before, network=network, contract=contract, **only)

    async def get_stats(
        self, network: str, *, token: str | None = None, contract: str | None = None
    ) -> Mapping[str, Json]:
        """Return the statistics of a token or a contract."""
        about = {"token": token} if contract is None else {"contract": contract}
        stats: Mapping[str, Json] = (await self._session.ask("get", what="stats", network=network, **about))["stats"]
        return stats

    async def _page(self, what: str, limit: int, before: str | None, **about: object) -> Page:
        since = {} if before is None else {"before": before}
        message = await self._session.ask("get", what=what, limit=limit, **about, **since)
        return Page(tuple(map(event_from_wire, message["events"])), message["before"])

    async def _activate(self, subscription: Subscription) -> None:
        for topic in subscription.topics:
            self._subscriptions.setdefault(topic, set()).add(subscription)
        answers = [self._session.add_topic(topic) for topic in subscription.topics]
        for answer in answers:
            await asyncio.shield(answer)

    def _deactivate(self, subscription: Subscription) -> None:
        for topic in subscription.topics:
            listening = self._subscriptions.get(topic, set())
            listening.discard(subscription)
            if not listening and self._subscriptions.pop(topic, None) is not None:
                self._session.remove_topic(topic)
        self._resume_if_room()

    def _resume_if_room(self) -> None:
        """Let a session that waits for room continue, if all subscriptions have room."""
        if self._session.behind and all(len(s._inbox) <= MAX_PENDING_EVENTS / 2 for s in self._all()):
            self._session.resume()

    def _all(self) -> set[Subscription]:
        return {subscription for listening in self._subscriptions.values() for subscription in listening}

    def _subscribers(self, event: Event) -> set[Subscription]:
        known = (topic for topic in event.topics if topic.partition(":")[0] in FAMILIES)  # a newer server may have more
        forms = (form for topic in known for form in wildcard_forms(topic))
        return {subscription for form in forms for subscription in self._subscriptions.get(form, ())}

    def _accept(self, message: Message) -> bool:
        source, cursor = message["source"], message["cursor"]
        if message["type"] == "retracted":
            for id_ in message["ids"]:
                if (event := self._seen.pop(id_, None)) is not None:
                    for subscription in self._subscribers(event):
                        subscription._inbox.retract(Update(event, True, source, cursor))
                        subscription._ready.set()
            return True
        for event in map(event_from_wire, message["events"]):
            if event.id in self._seen:
                continue
            listening = self._subscribers(event)
            if any(len(subscription._inbox) >= MAX_PENDING_EVENTS for subscription in listening):
                return False
            self._seen[event.id] = event
            if len(self._seen) > DEDUP_WINDOW:
                self._seen.popitem(last=False)
            for subscription in listening:
                subscription._inbox.add(Update(event, False, source, cursor))
                subscription._ready.set()
        return True

    def _on_snapshots(self, message: Message) -> None:
        for topic, now in message.get("now", {}).items():
            snapshot = TokenSnapshot(*(now[name] and event_from_wire(now[name]) for name in ("price", "latest_trade")))
            for subscription in self._subscriptions.get(topic, ()):
                subscription.snapshots[topic] = snapshot

    def _on_state(self, state: State) -> None:
        self._user_on_state(state)
        if state is State.CLOSED:
            for subscription in self._all():
                subscription._ready.set()


@asynccontextmanager
async def connect(url: str, options: Options | None = None) -> AsyncIterator[Chaincast]:
    """Connect to a stack's WebSocket URL.

    Raise `Refusal` if the first connection fails. Later losses are recovered until the block ends.
    """
    client = Chaincast(url, options or Options())
    await client._session.begin()
    try:
        yield client
    finally:
        await client._session.close()
