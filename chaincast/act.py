"""Carrying out a client's command: what is allowed, what it does, what is answered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from chaincast.commands import (
    Command,
    GetHistory,
    GetPrice,
    GetStats,
    History,
    Outcome,
    Ping,
    Pong,
    Price,
    Stats,
    Subscribe,
    Subscribed,
    TokenNow,
    Unsubscribe,
    Unsubscribed,
)
from chaincast.errors import ClientError, Code
from chaincast.events import Event, Json
from chaincast.settings import Settings
from chaincast.stats import contract_stats, token_stats
from chaincast.topics import ANY, Topic, alerts_of

MOST_TOLD = 10
"""Of so many tokens in one subscribe it is told how they stand; of the others their next event will."""

MOST_COUNTED = 5_000
"""Events of a contract that its statistics are made of, the newest."""


class SubscriptionStore(Protocol):
    """What commands do to subscriptions; `chaincast.aws.subscriptions` does it to DynamoDB."""

    def add(
        self,
        connection_id: str,
        dialect: str,
        topics: Sequence[str],
        kinds: Collection[str],
        limit: int,
        now_ms: int,
        before_rows: Callable[[], None] | None = None,
    ) -> None: ...

    def remove(self, connection_id: str, topics: Sequence[str]) -> None: ...


class Resumption(Protocol):
    """How what a client missed is replayed; `chaincast.aws.resume` does it from the Log."""

    def check(self, since: Mapping[str, str]) -> None: ...

    def begin(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> None: ...


class PastEvents(Protocol):
    """What is kept of the past; `chaincast.aws.history` reads it from DynamoDB."""

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]: ...


class Actor:
    """Acts for connections, whatever dialect they speak."""

    def __init__(
        self, subscriptions: SubscriptionStore, resumption: Resumption, past: PastEvents, settings: Settings
    ) -> None:
        self._subscriptions = subscriptions
        self._resumption = resumption
        self._past = past
        self._settings = settings

    def act(self, command: Command, connection_id: str, dialect: str, now_ms: int, user: str = "") -> Outcome:
        """The outcome of a command; what is not allowed is one, too. `user`: whose connection it is known to be."""
        try:
            match command:
                case Ping(request_id):
                    return Pong(now_ms, request_id)
                case Unsubscribe(topics, request_id):
                    self._subscriptions.remove(connection_id, [str(t) for t in topics])
                    return Unsubscribed(topics, request_id)
                case Subscribe():
                    return self._subscribe(command, connection_id, dialect, now_ms, user)
                case GetHistory(what, topic, limit, names, before, request_id, alert):
                    self._check(topic)
                    kept_under = alerts_of(topic.scope, alert) if alert else str(topic)
                    events, behind = self._past.newest(kept_under, limit, names, before)
                    return History(what, tuple(events), behind, request_id)
                case GetPrice(network, token, request_id):
                    self._check_network(network, "get price")
                    return Price(network, token, self._newest("prices", network, token), request_id)
                case GetStats(about, request_id):
                    self._check(about)
                    return Stats(about, self._stats(about, now_ms), request_id)
        except ClientError as error:
            return error.with_request_id(command.request_id)

    def _subscribe(self, command: Subscribe, connection_id: str, dialect: str, now_ms: int, user: str) -> Subscribed:
        since = command.since
        for topic in command.topics:
            self._check(topic, user)
        if since:
            for source in since:
                if source not in self._settings.sources:
                    self._check_network(source, "since")
            self._resumption.check(since)
        self._subscriptions.add(
            connection_id,
            dialect,
            [str(t) for t in command.topics],
            command.kinds,
            self._settings.subscriptions_per_connection,
            now_ms,
            (lambda: self._resumption.begin(connection_id, dialect, since, now_ms)) if since else None,
        )
        tokens = [topic for topic in command.topics if topic.family == "token" and ANY not in (topic.scope, topic.key)]
        now = {
            str(topic): TokenNow(
                self._newest("prices", topic.scope, topic.key), self._newest("trades", topic.scope, topic.key)
            )
            for topic in tokens[:MOST_TOLD]
        }
        return Subscribed(command.topics, command.request_id, now)

    def _newest(self, family: str, network: str, token: str) -> Event | None:
        events, _ = self._past.newest(f"{family}:{network}:{token}", 1, (), None)
        return events[0] if events else None

    def _stats(self, about: Topic, now_ms: int) -> dict[str, Json]:
        if about.family == "token":
            return token_stats(self._newest("prices", about.scope, about.key), now_ms)
        found: list[Event] = []
        before: str | None = None
        while len(found) < MOST_COUNTED:
            events, before = self._past.newest(str(about), MOST_COUNTED - len(found), (), before)
            found += events
            if before is None:
                break
        return contract_stats(found, before is None, now_ms)

    def _check(self, topic: Topic, user: str = "") -> None:
        if topic.is_private and topic.scope != user:
            this = f"this connection is {user!r}'s" if user else "this connection has none"
            raise ClientError(Code.PRIVATE_TOPIC, f"topic {str(topic)!r} is only for its own user, and {this}")
        if topic.network is not None:
            self._check_network(topic.network, repr(str(topic)))

    def _check_network(self, network: str, where: str) -> None:
        if network not in self._settings.networks:
            raise ClientError(
                Code.UNKNOWN_NETWORK,
                f"unknown network {network[:40]!r} in {where}; known: {', '.join(self._settings.networks)}",
            )
