"""Queries of the history, on one network or on all networks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from chaincast.model.events import Event
from chaincast.model.topics import ANY, Topic, alerts_of


class HistoryStore(Protocol):
    """Storage of the history; `chaincast.eventlog.history_store` reads it from DynamoDB."""

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]:
        """Return the newest events of a topic and the position at which the next page begins; None at the end."""
        ...


class HistoryQueries:
    """Reads the history of topics whose network may be `*`.

    Positions are per network. A query of all networks therefore reads each network and merges the events by time.
    """

    def __init__(self, store: HistoryStore, networks: Sequence[str]) -> None:
        self._store = store
        self._networks = networks

    def newest(
        self, topic: Topic, limit: int, event_names: Collection[str] = (), before: str | None = None
    ) -> tuple[list[Event], str | None]:
        """Return the newest events, newest first, and the position at which the next page begins.

        The position is None at the end of the history, and always None for a query of all networks.
        """
        if topic.scope != ANY:
            return self._store.newest(_history_key(topic), limit, event_names, before)
        events: list[Event] = []
        for network in self._networks:
            page, _ = self._store.newest(_history_key(_on_network(topic, network)), limit, event_names, None)
            events += page
        return _newest_first(events)[:limit], None

    def latest(self, family: str, network: str, token: str) -> Event | None:
        """Return the newest event of a token's topic; None if there is none."""
        events, _ = self.newest(Topic(family, network, token), 1)
        return events[0] if events else None

    def read_many(self, topic: Topic, max_events: int) -> tuple[list[Event], bool]:
        """Return up to `max_events` events of each network, newest first, and True if these are all events."""
        events: list[Event] = []
        complete = True
        for network in self._networks if topic.scope == ANY else (topic.scope,):
            network_events, is_all = self._read_network(_on_network(topic, network), max_events)
            events += network_events
            complete = complete and is_all
        return (_newest_first(events) if topic.scope == ANY else events), complete

    def _read_network(self, topic: Topic, max_events: int) -> tuple[list[Event], bool]:
        """Read pages of one network's topic until the limit or the end; return True if the end was reached."""
        events: list[Event] = []
        before: str | None = None
        while len(events) < max_events:
            page, before = self._store.newest(_history_key(topic), max_events - len(events), (), before)
            events += page
            if before is None:
                break
        return events, before is None


def _on_network(topic: Topic, network: str) -> Topic:
    return Topic(topic.family, network, topic.key)


def _history_key(topic: Topic) -> str:
    """Return the topic that events are stored under: alerts are stored per network and type."""
    return alerts_of(topic.scope, topic.key) if topic.family == "alerts" else str(topic)


def _newest_first(events: list[Event]) -> list[Event]:
    return sorted(events, key=lambda event: event.timestamp, reverse=True)
