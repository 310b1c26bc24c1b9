"""What is kept of the past, of one network or of all."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from chaincast.model.events import Event
from chaincast.model.topics import ANY, Topic, alerts_of


class HistoryStore(Protocol):
    """What is kept under one topic; `chaincast.eventlog.history_store` reads it from DynamoDB."""

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]: ...


class HistoryQueries:
    """Reads it by topics whose network may be `*`: positions are per network, so all are asked, and merged by time."""

    def __init__(self, kept: HistoryStore, networks: Sequence[str]) -> None:
        self._kept = kept
        self._networks = networks

    def newest(
        self, topic: Topic, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]:
        """The newest events, newest first, and where to go on: None at the end, and of all networks."""
        if topic.scope != ANY:
            return self._kept.newest(_kept_under(topic), limit, names, before)
        found: list[Event] = []
        for network in self._networks:
            events, _ = self._kept.newest(_kept_under(Topic(topic.family, network, topic.key)), limit, names, None)
            found += events
        found.sort(key=lambda event: event.timestamp, reverse=True)
        return found[:limit], None

    def last(self, family: str, network: str, token: str) -> Event | None:
        """The newest event about a token."""
        events, _ = self.newest(Topic(family, network, token), 1, (), None)
        return events[0] if events else None

    def many(self, topic: Topic, most: int) -> tuple[list[Event], bool]:
        """As many as there are, but not more than `most` of a network, newest first; and whether that is all."""
        found: list[Event] = []
        complete = True
        for network in self._networks if topic.scope == ANY else (topic.scope,):
            before: str | None = None
            wanted = most
            while wanted > 0:
                under = Topic(topic.family, network, topic.key)
                events, before = self._kept.newest(_kept_under(under), wanted, (), before)
                found += events
                wanted -= len(events)
                if before is None:
                    break
            complete = complete and before is None
        if topic.scope == ANY:
            found.sort(key=lambda event: event.timestamp, reverse=True)
        return found, complete


def _kept_under(topic: Topic) -> str:
    return alerts_of(topic.scope, topic.key) if topic.family == "alerts" else str(topic)
