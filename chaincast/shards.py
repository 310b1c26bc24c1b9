"""Which fan-out worker serves a connection, and where its subscriptions are.

The number of shards S can be changed while everything runs: rows stay under the S they were written with, so a
partition names its S, and a worker of one S also knows where rows of another that are its own may be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd
from zlib import crc32


def shard_of(connection_id: str, shards: int) -> int:
    """The shard (0 … shards-1) of a connection; the same in every process and on every platform."""
    return crc32(connection_id.encode()) % shards if shards > 1 else 0


def partition(topic: str, shards: int, shard: int) -> str:
    """The partition key of the Subscriptions table: one topic's connections of one shard of so many."""
    return f"{topic}#{shards}.{shard}"


def home(topic: str, connection_id: str, shards: int) -> str:
    """The partition of one connection's subscription to a topic."""
    return partition(topic, shards, shard_of(connection_id, shards))


@dataclass(frozen=True, slots=True)
class Worker:
    """One of `shards` workers. `readable`: every S under which there may be rows."""

    shards: int
    shard: int
    readable: tuple[int, ...]

    def serves(self, connection_id: str) -> bool:
        """Whether the connection is this worker's."""
        return shard_of(connection_id, self.shards) == self.shard

    def partitions(self, topic: str) -> list[tuple[str, bool]]:
        """Where this worker's connections of a topic may be, and whether others' may be there too.

        A connection of shard k of S is in shard j of R only if j ≡ k modulo the greatest common divisor.
        """
        found = []
        for rows in sorted({*self.readable, self.shards}):
            common = gcd(rows, self.shards)
            shards = range(self.shard % common, rows, common)
            found += [(partition(topic, rows, j), common != self.shards) for j in shards]
        return found


def workers(shards: int, readable: Iterable[int]) -> list[Worker]:
    """All workers of S = `shards`."""
    known = tuple(sorted({shards, *readable}))
    return [Worker(shards, shard, known) for shard in range(shards)]
