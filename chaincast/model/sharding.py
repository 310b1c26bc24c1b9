"""The shards of fan-out: which shard serves a connection, and under which partitions its subscriptions are stored.

The number of shards can change while everything runs. Rows remain under the shard count with which they were written.
Therefore a partition key names its shard count, and a shard assignment lists every count under which rows may exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import gcd
from zlib import crc32

import orjson

from chaincast.errors import CodecError

PREVIOUS_COUNT_SECONDS = 3 * 3600
"""Seconds for which rows of a previous shard count are read. A connection lives for at most two hours."""


def shard_of(connection_id: str, shards: int) -> int:
    """Return the shard (0 … shards-1) of a connection. It is the same in every process and on every platform."""
    return crc32(connection_id.encode()) % shards if shards > 1 else 0


def partition(topic: str, shards: int, shard: int) -> str:
    """Return the partition key in the Subscriptions table of a topic's connections in one shard."""
    return f"{topic}#{shards}.{shard}"


def hold_partition_topic(source: str) -> str:
    """Return the topic under which the Subscriptions table stores holds. No client topic begins with `resuming/`."""
    return f"resuming/{source}"


def subscription_partition(topic: str, connection_id: str, shards: int) -> str:
    """Return the partition key of a connection's subscription to a topic."""
    return partition(topic, shards, shard_of(connection_id, shards))


@dataclass(frozen=True, slots=True)
class ShardAssignment:
    """Shard `shard` of `shards`. `row_shard_counts`: every shard count under which rows may be stored."""

    shards: int
    shard: int
    row_shard_counts: tuple[int, ...]

    def serves(self, connection_id: str) -> bool:
        """Return True if the connection belongs to this shard."""
        return shard_of(connection_id, self.shards) == self.shard

    def partitions(self, topic: str) -> list[tuple[str, bool]]:
        """Return the partitions that may hold this shard's connections of a topic, and if others' may be there too.

        A connection in shard k of S can be in shard j of R only if j ≡ k modulo gcd(R, S).
        """
        partitions = []
        for count in sorted({*self.row_shard_counts, self.shards}):
            common = gcd(count, self.shards)
            shards = range(self.shard % common, count, common)
            partitions += [(partition(topic, count, j), common != self.shards) for j in shards]
        return partitions

    def with_row_shard_count(self, shards: int) -> ShardAssignment:
        """Return the assignment that also reads rows stored under another shard count."""
        if shards in self.row_shard_counts:
            return self
        return replace(self, row_shard_counts=tuple(sorted({*self.row_shard_counts, shards})))


def shard_assignments(shards: int, row_shard_counts: Iterable[int]) -> list[ShardAssignment]:
    """Return the assignments of all shards."""
    counts = tuple(sorted({shards, *row_shard_counts}))
    return [ShardAssignment(shards, shard, counts) for shard in range(shards)]


@dataclass(frozen=True, slots=True)
class Resharding:
    """A change of the shard count after batch `seq` whose messages are possibly not all queued yet."""

    previous: int
    seq: int


@dataclass(frozen=True, slots=True)
class ShardingState:
    """The shard count of a source. `previous`: each earlier count with the time (s) until which its rows are read."""

    shards: int
    previous: dict[int, int] = field(default_factory=dict)
    resharding: Resharding | None = None

    def assignments(self, now: float) -> list[ShardAssignment]:
        """Return the assignments to which a new batch is sent."""
        return shard_assignments(self.shards, [count for count, until in self.previous.items() if until > now])

    def assignments_for(self, seq: int, now: float) -> list[ShardAssignment]:
        """Return the assignments for batch `seq`: the previous ones if a change in progress begins after it."""
        if self.resharding is not None and seq <= self.resharding.seq:
            return self.previous_assignments()
        return self.assignments(now)

    def previous_assignments(self) -> list[ShardAssignment]:
        """Return the assignments from before the change in progress. A change must be in progress."""
        assert self.resharding is not None
        return shard_assignments(self.resharding.previous, ())

    def resharded(self, shards: int, seq: int, now: float) -> ShardingState:
        """Return the state with another shard count after batch `seq`, or this state if the count is the same."""
        if shards == self.shards:
            return self
        previous = {count: until for count, until in self.previous.items() if until > now and count != shards}
        return ShardingState(
            shards, {**previous, self.shards: int(now) + PREVIOUS_COUNT_SECONDS}, Resharding(self.shards, seq)
        )

    def completed(self) -> ShardingState:
        """Return the state after the change in progress: all of its messages are queued."""
        return replace(self, resharding=None)

    def encode(self) -> str:
        """Return the state as JSON, for the State table."""
        change = self.resharding
        document = {
            "shards": self.shards,
            "former": self.previous,
            "switch": change and {"former": change.previous, "seq": change.seq},
        }
        return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS).decode()


def decode_sharding(text: str) -> ShardingState:
    """Return the state that `ShardingState.encode` wrote. Raise `CodecError` for any other text."""
    try:
        document = orjson.loads(text)
        change = document["switch"]
        previous = {int(count): until for count, until in document["former"].items()}
        return ShardingState(
            document["shards"], previous, Resharding(change["former"], change["seq"]) if change else None
        )
    except (ValueError, KeyError, TypeError) as error:
        raise CodecError(f"sharding state {text[:100]!r}: not valid: {error}") from error
