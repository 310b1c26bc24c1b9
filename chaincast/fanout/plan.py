"""The plan of a delivery: the events of some batches that a connection sees, in as few messages as possible.

A view is the part of a plan that a connection sees: a bit mask per dialect, with one bit per event and retraction. Work
per subscription is one dictionary step, regardless of the number of events. Work per event is one encoding per dialect,
regardless of the number of connections. Most connections speak one dialect; a Socket.IO client may have subscribed
through the verbs of several vocabularies.

Several batches, which a worker that has fallen behind delivers together, make one plan and so one message per
connection.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from chaincast.model.batches import Batch, Retraction
from chaincast.model.cursors import format_cursor
from chaincast.model.events import Event
from chaincast.model.topics import wildcard_forms
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Chains, Dialect

_NO_CHAINS: Chains = {}


class Plan:
    """Consecutive batches (or parts) of one source.

    Bit i stands for item i. The items are the retractions and then the events of each batch.
    """

    def __init__(self, batches: Sequence[Batch], max_bytes: int, chains: Chains = _NO_CHAINS) -> None:
        self.source = batches[0].source
        self._max_bytes = max_bytes
        self._chains = chains
        self._dialects: dict[str, Dialect] = {}
        self.first = batches[0].seq
        self._end = batches[-1].resume_cursor
        self._items: list[Event | Retraction] = []
        self._batches: list[Batch] = []
        for batch in batches:
            self._items += [*batch.retracted, *batch.events]
            self._batches += [batch] * (len(batch.retracted) + len(batch.events))
        self._conflates = any(isinstance(i, Event) and i.conflation_key is not None for i in self._items)
        self._fragments: dict[str, list[bytes | None]] = {}
        self._of_kinds: dict[Collection[str], int] = {}
        self.topics = self._topics()
        """Masks of the items of each topic, `*` forms included."""

    def _topics(self) -> dict[str, int]:
        exact: dict[str, int] = {}
        for i, item in enumerate(self._items):
            for topic in item.topics:
                exact[topic] = exact.get(topic, 0) | 1 << i
        masks: dict[str, int] = {}
        for topic, mask in exact.items():
            for form in wildcard_forms(topic):
                masks[form] = masks.get(form, 0) | mask
        return masks

    def of_kinds(self, kinds: frozenset[str]) -> int:
        """Return the mask of the events of some kinds, and of all retractions, whose kinds are not known."""
        mask = self._of_kinds.get(kinds)
        if mask is None:
            mask = sum(
                1 << i
                for i, item in enumerate(self._items)
                if not isinstance(item, Event) or item.kind in kinds or item.narrow_kind in kinds
            )
            self._of_kinds[kinds] = mask
        return mask

    def mask_after(self, seq: int, part: int) -> int:
        """Return the mask of all items after a batch (or part of one)."""
        return sum(1 << i for i, batch in enumerate(self._batches) if (batch.seq, batch.part) > (seq, part))

    def messages(self, view: View) -> tuple[bytes, ...]:
        """Return the messages that carry a view, in order. None exceeds the limit unless a single item does.

        A message's cursor states that the client has everything up to it. Each cursor therefore lies before all items
        of the messages that follow.
        """
        chunks = [(chunk, name) for name, mask in view for chunk in self._chunked(name, mask)]
        if len(view) > 1:
            chunks.sort(key=lambda c: c[0][0])
        messages: list[bytes] = []
        cursor = self._end
        for chunk, name in reversed(chunks):
            dialect, fragments = self._dialects[name], self._fragments[name]
            encoded = [f for i in chunk if (f := fragments[i]) is not None]
            first = self._items[chunk[0]]
            if isinstance(first, Event):
                messages.append(dialect.events_message(self.source, cursor, dialect.channel(first), encoded))
            else:
                messages.append(dialect.retractions_message(self.source, cursor, encoded))
            if not dialect.single_event_messages:  # messages with a single event have no cursors
                cursor = min(cursor, format_cursor(max(min(self._batches[i].seq for i in chunk) - 1, 0)))
        return tuple(reversed(messages))

    def _chunked(self, name: str, mask: int) -> list[list[int]]:
        dialect = self._dialects.get(name) or self._dialects.setdefault(name, registry.get(name, self._chains))
        fragments = self._encoded(name, dialect)
        seen = [i for i in self._seen(mask) if fragments[i] is not None]
        if dialect.single_event_messages:
            return [[i] for i in seen]
        return list(self._chunks(self._by_channel(seen, dialect), fragments, dialect))

    def _by_channel(self, seen: list[int], dialect: Dialect) -> list[tuple[int, str]]:
        """Return the items with their channels, grouped by channel within each run of events.

        The channels of a run are in the order of their first events.
        """
        ordered: list[tuple[int, str]] = []
        for are_events, run in groupby(seen, key=lambda i: isinstance(self._items[i], Event)):
            if not are_events:
                ordered += [(i, _RETRACTIONS) for i in run]
                continue
            channels: dict[str, list[tuple[int, str]]] = {}
            for i in run:
                item = self._items[i]
                assert isinstance(item, Event)
                channel = dialect.channel(item)
                channels.setdefault(channel, []).append((i, channel))
            for same in channels.values():
                ordered += same
        return ordered

    def _encoded(self, name: str, dialect: Dialect) -> list[bytes | None]:
        if name not in self._fragments:
            self._fragments[name] = [
                dialect.event_fragment(item) if isinstance(item, Event) else dialect.retraction_fragment(item.id)
                for item in self._items
            ]
        return self._fragments[name]

    def _seen(self, mask: int) -> list[int]:
        """Return the items of a mask. Only the last of the items with the same conflation key remains."""
        indexes = list(_bits(mask))
        if not self._conflates:
            return indexes
        last: set[str] = set()
        kept = []
        for i in reversed(indexes):
            item = self._items[i]
            if isinstance(item, Event) and item.conflation_key is not None:
                if item.conflation_key in last:
                    continue
                last.add(item.conflation_key)
            kept.append(i)
        return kept[::-1]

    def _chunks(
        self, seen: Sequence[tuple[int, str]], fragments: Sequence[bytes | None], dialect: Dialect
    ) -> Iterator[list[int]]:
        """Yield runs of items of one channel, or of retractions, that fit into a message.

        An item that is too long by itself is a run of its own.
        """
        room = self._max_bytes - dialect.overhead
        chunk: list[int] = []
        size, former = 0, ""
        for i, channel in seen:
            length = len(fragments[i] or b"") + dialect.separator
            if chunk and (size + length > room or channel != former):
                yield chunk
                chunk, size = [], 0
            chunk.append(i)
            size, former = size + length, channel
        if chunk:
            yield chunk


_RETRACTIONS = "retractions of events"
"""The channel under which retractions are grouped. No dialect has a channel of this name."""


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


View: TypeAlias = tuple[tuple[str, int], ...]
"""Pairs of a dialect and the mask of the items sent in it, unique and sorted by dialect. No mask is empty."""


def merged(one: View, other: View) -> View:
    """Return the union of two views. The common case, one dialect, is one comparison and one `|`."""
    if len(one) == 1 and len(other) == 1 and one[0][0] == other[0][0]:
        return one if one == other else ((one[0][0], one[0][1] | other[0][1]),)
    masks = dict(one)
    for name, mask in other:
        masks[name] = masks.get(name, 0) | mask
    return tuple(sorted(masks.items()))


def limited(view: View, mask: int) -> View:
    """Return the part of a view within a mask. It is empty if nothing remains."""
    return tuple((name, seen & mask) for name, seen in view if seen & mask)
