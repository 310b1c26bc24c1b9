"""Batches: the unit of delivery. What one block of one source brought, in log order (DESIGN 1).

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
"""First field of the encoding; a reader refuses a number it does not know instead of guessing."""

PART_BYTES = 350_000
"""A batch whose JSON is longer is several Log items: DynamoDB's limit is 400 KB an item, SQS's 1 MiB a message."""


@dataclass(frozen=True, slots=True)
class Retraction:
    """An event that a reorg took back, and the topics whose subscribers must hear of it."""

    id: str
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One item of a source's Log: `seq` is its gapless number (as text: its cursor).

    A batch too long for one item is cut into `parts` of one `seq`, `part` being the place of this one.
    `timestamp` is the block's, in ms.
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
        return format_cursor(self.seq)

    @property
    def sort_key(self) -> str:
        """Its key in the Log: the cursor, with `#part` from the second part on."""
        return f"{self.cursor}#{self.part:03d}" if self.part else self.cursor

    @property
    def resume_cursor(self) -> str:
        """What a client that has all of this may resume from: its own cursor only with the last part."""
        return self.cursor if self.part == self.parts - 1 else format_cursor(self.seq - 1)


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """A batch (part) with its encoding, which is made once for the event log and the queue."""

    batch: Batch
    data: bytes


def encode_parts(batch: Batch) -> list[EncodedBatch]:
    """Return the parts of a batch in order, each encoded."""
    return [EncodedBatch(part, encode_batch(part)) for part in split_batch(batch)]


def encode_batch(batch: Batch) -> bytes:
    """The batch as compressed JSON, for the Log and the queue."""
    return zlib.compress(orjson.dumps(document_of(batch)), 6)


def decode_batch(data: bytes) -> Batch:
    """The batch of `encode_batch`. Raises `CodecError` on damage or another version's format."""
    try:
        return batch_of(orjson.loads(zlib.decompress(data)))
    except (zlib.error, ValueError) as error:
        raise CodecError(f"not a batch: {error}") from error


def document_of(batch: Batch) -> dict[str, object]:
    """The batch as JSON."""
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
    """The batch of `document_of`. Raises `CodecError`."""
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
    """An event of its JSON. Raises TypeError or KeyError if it is none."""
    document["topics"] = tuple(document["topics"])  # type: ignore[arg-type]  # JSON's list; Event wants a tuple
    return Event(**document)  # type: ignore[arg-type]  # checked by the caller's TypeError handler


def split_batch(batch: Batch, limit: int = PART_BYTES) -> list[Batch]:
    """The batch as parts whose JSON stays under `limit` bytes, in order; most batches are one part.

    Retractions come first, as they happened first. A single event longer than the limit is a part of its own.
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
