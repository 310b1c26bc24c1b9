"""What an adapter is: pure, but for the contracts it has learned of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chaincast.events import Json
from listener.sources.base import RawLog


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a log says: the event's kind and data, and the token it is about."""

    kind: str
    data: Mapping[str, Json]
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """A contract that a log told of, which the adapter follows from then on; `facts` are what it must know of it."""

    address: str
    facts: Mapping[str, str]


class Adapter(Protocol):
    """Reads the logs of one configured contract and of those discovered through it."""

    @property
    def topics0(self) -> Sequence[bytes]:
        """Signatures of the events it reads: what the source asks the node for."""
        ...

    def discover(self, log: RawLog) -> Discovery | None:
        """The contract that a log tells of, if it does; called for all logs of a block before any `decode`."""
        ...

    def learn(self, discovery: Discovery) -> None:
        """Follow a discovered contract, found just now or before a restart."""
        ...

    def decode(self, log: RawLog) -> Decoded | None:
        """What the log says; `None` if it is of a contract that is not followed. Raises `Undecodable`."""
        ...
