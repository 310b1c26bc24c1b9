"""Batches, the unit of delivery: the events and retractions of one block of one source, in the chain's order.

The encoding is deterministic: equal batches have equal bytes, so that writing one again changes nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from chaincast.errors import CodecError
from chaincast.model.cursors import format_cursor
from chaincast.model.events import Event

FORMAT = 1
"""Version of the encoding, stored in every batch. A reader refuses versions that it does not know."""

PART_BYTES = 350_000
"""A batch whose JSON is longer is divided into parts: an item of DynamoDB has at most 400 KB."""


@dataclass(frozen=True, slots=True)
class Retraction:
    """An event that a reorganisation removed from the chain, and the topics whose subscribers received it."""

    id: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """An item of a source's event log. `seq` is its number, without gaps; the cursor is this number as text.

    A batch that is too long for one item is divided into `parts` with the same `seq`; `part` is the index (from 0).
    `timestamp` is the block's, in milliseconds.
    """

    source: str
    seq: int
    timestamp: int
    events: tuple[Event, ...] = ()
    retracted: tuple[Retraction, ...] = ()
    block: int | None = None
    block_hash: str | None = None
    part: int = 0
    parts: int = 1

    @property
    def cursor(self) -> str:
        """Return the cursor of the batch."""
        return format_cursor(self.seq)

    @property
    def sort_key(self) -> str:
        """Return the sort key in the event log: the cursor, with `#part` from the second part on."""
        return f"{self.cursor}#{self.part:03d}" if self.part else self.cursor

    @property
    def resume_cursor(self) -> str:
        """Return the cursor from which a client that has received this part may resume."""
        return self.cursor if self.part == self.parts - 1 else format_cursor(self.seq - 1)


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """A batch (part) with its encoding, which is computed once for the event log and the queue."""

    batch: Batch
    data: bytes


def encode_parts(batch: Batch) -> list[EncodedBatch]:
    """Return the parts of a batch in order, each encoded."""
    return [EncodedBatch(part, encode_batch(part)) for part in split_batch(batch)]


def encode_batch(batch: Batch) -> bytes:
    """Return a batch as compressed JSON, for the event log and the queue."""
    return zlib.compress(orjson.dumps(document_of(batch)), 6)


def decode_batch(data: bytes) -> Batch:
    """Return the batch that `encode_batch` encoded. Raise `CodecError` for damaged data or an unknown version."""
    try:
        return batch_of(orjson.loads(zlib.decompress(data)))
    except (zlib.error, ValueError) as error:
        raise CodecError(f"not a batch: {error}") from error


def document_of(batch: Batch) -> dict[str, object]:
    """Return a batch as a JSON object."""
    return {
        "v": FORMAT,
        "source": batch.source,
        "seq": batch.seq,
        "timestamp": batch.timestamp,
        "block": batch.block,
        "block_hash": batch.block_hash,
        "part": batch.part,
        "parts": batch.parts,
        "retracted": batch.retracted,
        "events": batch.events,
    }


def batch_of(document: dict[str, Any]) -> Batch:
    """Return the batch of a JSON object that `document_of` made. Raise `CodecError` for any other object."""
    try:
        version = document.pop("v")
        if version != FORMAT:
            raise CodecError(f"batch has format {version!r}; this version reads {FORMAT}")
        events = tuple(event_of(e) for e in document.pop("events"))
        retracted = tuple(Retraction(r["id"], tuple(r["topics"])) for r in document.pop("retracted"))
        return Batch(events=events, retracted=retracted, **document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CodecError(f"not a batch: {error}") from error


def event_of(document: dict[str, object]) -> Event:
    """Return the event of its JSON object. Raise TypeError or KeyError for any other object."""
    document["topics"] = tuple(document["topics"])  # type: ignore[arg-type]  # JSON's list; Event wants a tuple
    return Event(**document)  # type: ignore[arg-type]  # checked by the caller's TypeError handler


def split_batch(batch: Batch, limit: int = PART_BYTES) -> list[Batch]:
    """Divide a batch into parts whose JSON has at most `limit` bytes, in order. Most batches have one part.

    Retractions come first, because they happened first. An event that is longer than the limit is a part by itself.
    """
    groups: list[tuple[list[Event], list[Retraction]]] = [([], [])]
    size = 0
    for item, length in _measured(batch):
        if size + length > limit and size:
            groups.append(([], []))
            size = 0
        size += length
        if isinstance(item, Event):
            groups[-1][0].append(item)
        else:
            groups[-1][1].append(item)
    return [
        replace(batch, events=tuple(events), retracted=tuple(retracted), part=part, parts=len(groups))
        for part, (events, retracted) in enumerate(groups)
    ]


def _measured(batch: Batch) -> Iterator[tuple[Event | Retraction, int]]:
    items: list[Event | Retraction] = [*batch.retracted, *batch.events]
    for item in items:
        yield item, len(orjson.dumps(item)) + 1
