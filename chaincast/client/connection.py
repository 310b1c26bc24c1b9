"""What a program uses: a connection, its subscriptions, and questions."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from chaincast.client.inbox import Inbox, Update
from chaincast.client.link import Message
from chaincast.client.options import Options, State
from chaincast.client.session import Session
from chaincast.model.events import Event, Json, event_told
from chaincast.model.topics import FAMILIES, Topic, wildcard_forms

REMEMBERED = 5_000
"""By so many events repeats are known, and what is taken back."""

MOST_WAITING = 2_000
"""With so many unread in a subscription, no more are taken until all have at most half of that."""


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of what is kept of the past, newest first. `before`: ask again with it for what is older; `None`: there
    is no more."""

    events: tuple[Event, ...]
    before: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a token stands: its newest price and trade, `None` where there is none."""

    price: Event | None
    latest_trade: Event | None


class Subscription:
    """Updates of some topics, by `async for`. Within `async with` it listens; to begin raises `Refusal` where a topic
    is refused."""

    def __init__(self, client: Chaincast, topics: tuple[str, ...]) -> None:
        self.topics = topics
        self.standings: dict[str, Standing] = {}
        """Of topics `token:…`, how the token stood when it was subscribed to."""
        self._client = client
        self._inbox = Inbox()
        self._ready = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            await self._client._join(self)
        except BaseException:
            self._client._leave(self)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client._leave(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Update:
        while not len(self._inbox):
            if self._client.state is State.CLOSED:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        update = self._inbox.take()
        self._client._relax()
        return update


class Chaincast:
    """A lasting connection. Subscriptions miss nothing and are told nothing twice, whatever happens to sockets."""

    def __init__(self, url: str, options: Options) -> None:
        self._session = Session(url, replace(options, on_state=self._on_state), self._take, self._stand)
        self._told_state = options.on_state
        self._subscriptions: dict[str, set[Subscription]] = {}
        self._seen: OrderedDict[str, Event] = OrderedDict()

    @property
    def state(self) -> State:
        return self._session.state

    def subscribe(self, *topics: str) -> Subscription:
        """To listen to topics (docs/protocol.md) by `async with`. Raises `ClientError` for what is no topic."""
        return Subscription(self, tuple(str(Topic.parse(topic)) for topic in dict.fromkeys(topics)))

    async def get_price(self, network: str, token: str) -> Event | None:
        """A token's newest `price` event; `None` if there is none. Raises `Refusal`, as all that ask."""
        event = (await self._session.ask("get", what="price", network=network, token=token))["event"]
        return None if event is None else event_told(event)

    async def get_trades(self, network: str, token: str, limit: int = 20, before: str | None = None) -> Page:
        """A token's trades, newest first; `limit`: 1 to 100."""
        return await self._page("trades", limit, before, network=network, token=token)

    async def get_prices(self, network: str, token: str, limit: int = 20, before: str | None = None) -> Page:
        """What a token's price was, newest first."""
        return await self._page("prices", limit, before, network=network, token=token)

    async def get_tokens(self, network: str, limit: int = 20, before: str | None = None) -> Page:
        """A network's newest tokens."""
        return await self._page("tokens", limit, before, network=network)

    async def get_alerts(self, network: str, alert: str, limit: int = 20, before: str | None = None) -> Page:
        """A network's alerts of a type, newest first."""
        return await self._page("alerts", limit, before, network=network, alert=alert)

    async def history(
        self, network: str, contract: str, events: Iterable[str] = (), limit: int = 20, before: str | None = None
    ) -> Page:
        """What a contract did, newest first; with `events`, only those called so."""
        only = {"events": [*events]} if events else {}
        return await self._page("history", limit, before, network=network, contract=contract, **only)

    async def get_stats(
        self, network: str, *, token: str | None = None, contract: str | None = None
    ) -> Mapping[str, Json]:
        """Counts of a token or a contract."""
        about = {"token": token} if contract is None else {"contract": contract}
        stats: Mapping[str, Json] = (await self._session.ask("get", what="stats", network=network, **about))["stats"]
        return stats

    async def _page(self, what: str, limit: int, before: str | None, **about: object) -> Page:
        since = {} if before is None else {"before": before}
        told = await self._session.ask("get", what=what, limit=limit, **about, **since)
        return Page(tuple(map(event_told, told["events"])), told["before"])

    async def _join(self, subscription: Subscription) -> None:
        for topic in subscription.topics:
            self._subscriptions.setdefault(topic, set()).add(subscription)
        answers = [self._session.want(topic) for topic in subscription.topics]
        for answer in answers:
            await asyncio.shield(answer)

    def _leave(self, subscription: Subscription) -> None:
        for topic in subscription.topics:
            listening = self._subscriptions.get(topic, set())
            listening.discard(subscription)
            if not listening and self._subscriptions.pop(topic, None) is not None:
                self._session.unwant(topic)
        self._relax()

    def _relax(self) -> None:
        """If the session waits for room, and there is room in all, say so."""
        if self._session.behind and all(len(s._inbox) <= MOST_WAITING / 2 for s in self._all()):
            self._session.make_room()

    def _all(self) -> set[Subscription]:
        return {subscription for listening in self._subscriptions.values() for subscription in listening}

    def _listening(self, event: Event) -> set[Subscription]:
        known = (topic for topic in event.topics if topic.partition(":")[0] in FAMILIES)  # a newer server may have more
        forms = (form for topic in known for form in wildcard_forms(topic))
        return {subscription for form in forms for subscription in self._subscriptions.get(form, ())}

    def _take(self, told: Message) -> bool:
        source, cursor = told["source"], told["cursor"]
        if told["type"] == "retracted":
            for id_ in told["ids"]:
                if (event := self._seen.pop(id_, None)) is not None:
                    for subscription in self._listening(event):
                        subscription._inbox.retract(Update(event, True, source, cursor))
                        subscription._ready.set()
            return True
        for event in map(event_told, told["events"]):
            if event.id in self._seen:
                continue
            listening = self._listening(event)
            if any(len(subscription._inbox) >= MOST_WAITING for subscription in listening):
                return False
            self._seen[event.id] = event
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
            for subscription in listening:
                subscription._inbox.add(Update(event, False, source, cursor))
                subscription._ready.set()
        return True

    def _stand(self, told: Message) -> None:
        for topic, now in told.get("now", {}).items():
            standing = Standing(*(now[name] and event_told(now[name]) for name in ("price", "latest_trade")))
            for subscription in self._subscriptions.get(topic, ()):
                subscription.standings[topic] = standing

    def _on_state(self, state: State) -> None:
        self._told_state(state)
        if state is State.CLOSED:
            for subscription in self._all():
                subscription._ready.set()


@asynccontextmanager
async def connect(url: str, options: Options | None = None) -> AsyncIterator[Chaincast]:
    """Connect to a stack's WebSocket URL. Raises `Refusal` if that cannot be done; once connected, nothing but the
    block's end closes it."""
    client = Chaincast(url, options or Options())
    await client._session.begin()
    try:
        yield client
    finally:
        await client._session.close()
