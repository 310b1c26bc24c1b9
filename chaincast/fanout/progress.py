"""How far batches got that were handed back: so that trying again reaches those who are missing, and nobody twice.

Fan-out goes through connections in the order of their ids. An attempt that ended early leaves a mark: those up to here
have everything through this batch, but for a few.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from chaincast.errors import CodecError
from chaincast.model.sharding import shard_of

BatchKey = tuple[int, int]
"""A batch's number, and the part of it."""

_MAX_MARKS = 16


@dataclass(frozen=True, slots=True)
class Mark:
    """Of the worker `shard` of `shards`, the connections up to `upto` (None: all) but for `missing` have everything
    through `through`."""

    through: BatchKey
    upto: str | None
    missing: frozenset[str]
    shards: int
    shard: int

    def covers(self, connection_id: str) -> bool:
        return (
            (self.upto is None or connection_id <= self.upto)
            and connection_id not in self.missing
            and shard_of(connection_id, self.shards) == self.shard
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """The marks that attempts at batches of one group left."""

    marks: tuple[Mark, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.marks)

    def through(self, connection_id: str) -> BatchKey | None:
        """The last batch that a connection has got already, as far as any attempt knows."""
        return max((mark.through for mark in self.marks if mark.covers(connection_id)), default=None)

    def after(self, attempt: Mark, first: BatchKey) -> Progress:
        """The progress when another attempt ended; what is about batches before `first` is of no use any more.

        What is forgotten costs repeats, no more.
        """
        useful = [mark for mark in self.marks if mark.through >= first]
        return Progress((*useful[-_MAX_MARKS + 1 :], attempt))

    def encode(self) -> bytes:
        """As JSON, for the State table."""
        return orjson.dumps(
            [
                {
                    "through": mark.through,
                    "upto": mark.upto,
                    "missing": sorted(mark.missing),
                    "shards": mark.shards,
                    "shard": mark.shard,
                }
                for mark in self.marks
            ]
        )


def decode_progress(data: bytes) -> Progress:
    """The progress of `Progress.encode`. Raises `CodecError`."""
    try:
        return Progress(tuple(_mark(**document) for document in orjson.loads(data)))
    except (ValueError, TypeError) as error:
        raise CodecError(f"no fan-out progress: {error}") from error


def _mark(through: Sequence[int], upto: str | None, missing: Iterable[str], shards: int, shard: int) -> Mark:
    seq, part = through
    return Mark((seq, part), upto, frozenset(missing), shards, shard)
