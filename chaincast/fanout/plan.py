"""The plan of a delivery: what of some batches of one source a connection sees, and the fewest messages that say it.

A connection's view is a bit mask, one bit per event and retraction: work per subscription is one dictionary step,
whatever the number of events, and work per event is one encoding per dialect, whatever the number of connections.

Several batches (those of a worker that is behind) make one plan and so one message per connection, as if they were one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeAlias

from chaincast import dialects
from chaincast.batches import Batch, Retraction
from chaincast.cursors import format_cursor
from chaincast.dialects.base import Dialect
from chaincast.events import Event
from chaincast.topics import wildcard_forms

View: TypeAlias = tuple[str, int]
"""A dialect, and the mask of what is seen."""


class Plan:
    """Consecutive batches (or parts) of one source. Bit i is item i: of each batch its retractions, then its events."""

    def __init__(self, batches: Sequence[Batch], max_bytes: int) -> None:
        self.source = batches[0].source
        self._max_bytes = max_bytes
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
        """Every topic, `*` forms included, that anything is filed under → the mask of what is."""

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
        """The mask of the events of some kinds, and of every retraction (whose kind nobody knows any more)."""
        mask = self._of_kinds.get(kinds)
        if mask is None:
            mask = sum(
                1 << i for i, item in enumerate(self._items) if not isinstance(item, Event) or item.kind in kinds
            )
            self._of_kinds[kinds] = mask
        return mask

    def behind(self, seq: int, part: int) -> int:
        """The mask of what comes after a batch (or part of one)."""
        return sum(1 << i for i, batch in enumerate(self._batches) if (batch.seq, batch.part) > (seq, part))

    def messages(self, view: View) -> tuple[bytes, ...]:
        """The messages that carry what a view shows, in order, none longer than the limit.

        A message's cursor says: up to here you have everything. So it is that before the next message's first batch.
        """
        name, mask = view
        dialect = dialects.get(name)
        fragments = self._encoded(name, dialect)
        seen = [i for i in self._seen(mask) if fragments[i] is not None]
        chunks = list(self._chunks(seen, fragments, dialect))
        messages = []
        for place, chunk in enumerate(chunks):
            if place + 1 < len(chunks):
                cursor = format_cursor(max(self._batches[chunks[place + 1][0]].seq - 1, 0))
            else:
                cursor = self._end
            frame = dialect.events if isinstance(self._items[chunk[0]], Event) else dialect.retracted
            messages.append(frame(self.source, cursor, [f for i in chunk if (f := fragments[i]) is not None]))
        return tuple(messages)

    def _encoded(self, name: str, dialect: Dialect) -> list[bytes | None]:
        if name not in self._fragments:
            self._fragments[name] = [
                dialect.event(item) if isinstance(item, Event) else dialect.retraction(item.id) for item in self._items
            ]
        return self._fragments[name]

    def _seen(self, mask: int) -> list[int]:
        """The items of a mask, of those with one conflation key the last."""
        found = list(_bits(mask))
        if not self._conflates:
            return found
        last: set[str] = set()
        kept = []
        for i in reversed(found):
            item = self._items[i]
            if isinstance(item, Event) and item.conflation_key is not None:
                if item.conflation_key in last:
                    continue
                last.add(item.conflation_key)
            kept.append(i)
        return kept[::-1]

    def _chunks(self, seen: Sequence[int], fragments: Sequence[bytes | None], dialect: Dialect) -> Iterator[list[int]]:
        """Runs of one sort (events, retractions) that fit a message; what is too long alone is a run of its own."""
        room = self._max_bytes - dialect.overhead
        chunk: list[int] = []
        size = 0
        for i in seen:
            length = len(fragments[i] or b"") + dialect.separator
            if chunk and (size + length > room or type(self._items[i]) is not type(self._items[chunk[-1]])):
                yield chunk
                chunk, size = [], 0
            chunk.append(i)
            size += length
        if chunk:
            yield chunk


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
