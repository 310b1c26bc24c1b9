"""The plan of a batch's delivery: from the batch and who listens, to the fewest payloads.

A connection's view of a batch is a bit mask, one bit per event and retraction: work per subscription is one dictionary
step, whatever the number of events, and work per event is one encoding per dialect, whatever the number of connections.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chaincast import dialects
from chaincast.batches import Batch, Retraction
from chaincast.cursors import format_cursor
from chaincast.dialects.base import Dialect
from chaincast.events import Event
from chaincast.topics import wildcard_forms


@dataclass(frozen=True, slots=True)
class Delivery:
    """The same messages, in order, to all of `connections`."""

    payloads: tuple[bytes, ...]
    connections: Sequence[str]


def audience_topics(batch: Batch) -> dict[str, int]:
    """Every topic, `*` forms included, that anything in the batch is filed under → the bits of what is.

    Bit i is event i; retraction j is bit len(events) + j.
    """
    exact: dict[str, int] = {}
    bit = 1
    items: list[Event | Retraction] = [*batch.events, *batch.retracted]
    for item in items:
        for topic in item.topics:
            exact[topic] = exact.get(topic, 0) | bit
        bit <<= 1
    masks: dict[str, int] = {}
    for topic, mask in exact.items():
        for form in wildcard_forms(topic):
            masks[form] = masks.get(form, 0) | mask
    return masks


def plan(
    batch: Batch,
    masks: Mapping[str, int],
    subscribers: Mapping[str, Iterable[tuple[str, str]]],
    max_bytes: int,
) -> list[Delivery]:
    """The deliveries of a batch. `masks` as of `audience_topics`; `subscribers` per topic as (connection, dialect)."""
    views: dict[tuple[str, str], int] = {}
    for topic, members in subscribers.items():
        mask = masks[topic]
        for member in members:
            views[member] = views.get(member, 0) | mask
    groups: dict[tuple[str, int], list[str]] = {}
    for (connection, dialect), mask in views.items():
        groups.setdefault((dialect, mask), []).append(connection)
    encoders: dict[str, Encoder] = {}
    deliveries = []
    for (name, mask), connections in groups.items():
        encoder = encoders.get(name)
        if encoder is None:
            encoder = encoders[name] = Encoder(batch, dialects.get(name), max_bytes)
        if payloads := encoder.payloads(mask):
            deliveries.append(Delivery(payloads, connections))
    return deliveries


class Encoder:
    """One batch in one dialect: each event encoded at most once, messages joined from the fragments."""

    def __init__(self, batch: Batch, dialect: Dialect, max_bytes: int) -> None:
        self._batch = batch
        self._dialect = dialect
        self._room = max_bytes - dialect.overhead
        self._events: list[bytes | None] | None = None

    def payloads(self, mask: int) -> tuple[bytes, ...]:
        """The messages that carry what `mask` shows: retractions first, none longer than the limit.

        Only the last one carries the batch's own cursor: who resumes after an earlier one gets the batch again.
        """
        events = self._visible_events(mask)
        retractions = self._visible_retractions(mask >> len(self._batch.events))
        chunks = [(self._dialect.retracted, c) for c in self._chunks(retractions)]
        chunks += [(self._dialect.events, c) for c in self._chunks(events)]
        last = len(chunks) - 1
        before, after = format_cursor(max(self._batch.seq - 1, 0)), self._batch.resume_cursor
        return tuple(
            frame(self._batch.source, after if i == last else before, chunk) for i, (frame, chunk) in enumerate(chunks)
        )

    def _visible_events(self, mask: int) -> list[bytes]:
        if self._events is None:
            self._events = [self._dialect.event(e) for e in self._batch.events]
        return [f for i, f in enumerate(self._events) if mask >> i & 1 and f is not None]

    def _visible_retractions(self, mask: int) -> list[bytes]:
        if not mask:
            return []
        fragments = (self._dialect.retraction(r.id) for i, r in enumerate(self._batch.retracted) if mask >> i & 1)
        return [f for f in fragments if f is not None]

    def _chunks(self, fragments: Sequence[bytes]) -> list[list[bytes]]:
        """Fragments in runs that fit one message; one that is too long alone is a run of its own."""
        chunks: list[list[bytes]] = []
        size = self._room
        for fragment in fragments:
            size += len(fragment) + self._dialect.separator
            if size > self._room:
                chunks.append([])
                size = len(fragment) + self._dialect.separator
            chunks[-1].append(fragment)
        return chunks
