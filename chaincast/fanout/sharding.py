"""The number of shards of one source as it changes: which is in force, under which others rows may still be."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import orjson

from chaincast.errors import CodecError
from chaincast.shards import Worker, workers

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
