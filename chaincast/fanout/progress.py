"""Progress of batches that must be retried, so that a retry reaches exactly the connections that still miss them.

Fan-out visits connections in the order of their ids. An attempt that ended early records a `DeliveredUpTo`: up to this
connection id every connection, except those listed, has everything through this batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from chaincast.errors import CodecError
from chaincast.model.sharding import shard_of

BatchKey = tuple[int, int]
"""The number of a batch and the index of its part."""

MAX_ATTEMPTS_KEPT = 16


@dataclass(frozen=True, slots=True)
class DeliveredUpTo:
    """The part of a delivery that one attempt completed, on shard `shard` of `shards`.

    Connections with ids up to `max_connection_id` (None: all), except those in `missing`, have everything through
    `last_delivered`.
    """

    last_delivered: BatchKey
    max_connection_id: str | None
    missing: frozenset[str]
    shards: int
    shard: int

    def covers(self, connection_id: str) -> bool:
        """Return True if the attempt delivered to this connection."""
        return (
            (self.max_connection_id is None or connection_id <= self.max_connection_id)
            and connection_id not in self.missing
            and shard_of(connection_id, self.shards) == self.shard
        )


@dataclass(frozen=True, slots=True)
class DeliveryProgress:
    """The results of earlier attempts at batches of one message group."""

    attempts: tuple[DeliveredUpTo, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.attempts)

    def last_delivered(self, connection_id: str) -> BatchKey | None:
        """Return the last batch that any attempt delivered to a connection. None: no attempt did."""
        return max((a.last_delivered for a in self.attempts if a.covers(connection_id)), default=None)

    def after(self, attempt: DeliveredUpTo, first: BatchKey) -> DeliveryProgress:
        """Return the progress after another attempt. `first`: the first batch still to be delivered.

        Attempts that ended before `first` are dropped, and so are the oldest ones beyond `MAX_ATTEMPTS_KEPT`. A
        dropped attempt can only cause a repeated delivery, not a missing one.
        """
        useful = [earlier for earlier in self.attempts if earlier.last_delivered >= first]
        return DeliveryProgress((*useful[-MAX_ATTEMPTS_KEPT + 1 :], attempt))

    def encode(self) -> bytes:
        """Return the progress as JSON, for the State table."""
        return orjson.dumps(
            [
                {
                    "through": attempt.last_delivered,
                    "upto": attempt.max_connection_id,
                    "missing": sorted(attempt.missing),
                    "shards": attempt.shards,
                    "shard": attempt.shard,
                }
                for attempt in self.attempts
            ]
        )


def decode_progress(data: bytes) -> DeliveryProgress:
    """Return the progress that `DeliveryProgress.encode` wrote. Raise `CodecError` for any other data."""
    try:
        return DeliveryProgress(tuple(_attempt(**document) for document in orjson.loads(data)))
    except (ValueError, TypeError) as error:
        raise CodecError(f"fan-out progress {data[:100]!r}: not valid: {error}") from error


def _attempt(
    through: Sequence[int], upto: str | None, missing: Iterable[str], shards: int, shard: int
) -> DeliveredUpTo:
    seq, part = through
    return DeliveredUpTo((seq, part), upto, frozenset(missing), shards, shard)
