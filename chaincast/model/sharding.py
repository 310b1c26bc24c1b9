"""Which fan-out worker serves a connection, and where its subscriptions are.

The number of shards S can be changed while everything runs: rows stay under the S they were written with, so a
partition names its S, and a worker of one S also knows where rows of another that are its own may be.

The number of shards of one source as it changes: which is in force, under which others rows may still be.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from math import gcd
from zlib import crc32

import orjson

from chaincast.errors import CodecError


def shard_of(connection_id: str, shards: int) -> int:
    """The shard (0 … shards-1) of a connection; the same in every process and on every platform."""
    return crc32(connection_id.encode()) % shards if shards > 1 else 0


def partition(topic: str, shards: int, shard: int) -> str:
    """The partition key of the Subscriptions table: one topic's connections of one shard of so many."""
    return f"{topic}#{shards}.{shard}"


def hold_partition_topic(source: str) -> str:
    """The topic under which the Subscriptions table keeps a source's holds; no client topic begins with `resuming/`."""
    return f"resuming/{source}"


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


KEEP_SECONDS = 3 * 3600
"""How long rows of a former S are looked for: no connection lives longer than two hours."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A change of S whose `Close` and `Open` messages may not all be queued yet: behind batch `seq`."""

    former: int
    seq: int


@dataclass(frozen=True, slots=True)
class Sharding:
    """What the listener keeps on record of S. `former`: until when (s) each is read."""

    shards: int
    former: dict[int, int] = field(default_factory=dict)
    switch: Switch | None = None

    def workers(self, now: float) -> list[Worker]:
        """To whom a batch that is new now goes."""
        return workers(self.shards, [s for s, until in self.former.items() if until > now])

    def workers_for(self, seq: int, now: float) -> list[Worker]:
        """To whom batch `seq` goes; one from before a switch under way still to the former workers."""
        if self.switch is not None and seq <= self.switch.seq:
            return self.former_workers()
        return self.workers(now)

    def former_workers(self) -> list[Worker]:
        """To whom batches went before the switch under way."""
        assert self.switch is not None
        return workers(self.switch.former, ())

    def changed(self, shards: int, seq: int, now: float) -> Sharding:
        """With another S in force behind batch `seq`; itself if it is the same."""
        if shards == self.shards:
            return self
        former = {s: until for s, until in self.former.items() if until > now and s != shards}
        return Sharding(shards, {**former, self.shards: int(now) + KEEP_SECONDS}, Switch(self.shards, seq))

    def switched(self) -> Sharding:
        """With the switch done."""
        return replace(self, switch=None)

    def encode(self) -> str:
        """As JSON, for the State table."""
        return orjson.dumps(self, option=orjson.OPT_NON_STR_KEYS).decode()


def decode_sharding(text: str) -> Sharding:
    """The sharding of `Sharding.encode`. Raises `CodecError`."""
    try:
        document = orjson.loads(text)
        switch = document["switch"]
        former = {int(s): until for s, until in document["former"].items()}
        return Sharding(document["shards"], former, Switch(**switch) if switch else None)
    except (ValueError, KeyError, TypeError) as error:
        raise CodecError(f"not a sharding: {error}") from error
