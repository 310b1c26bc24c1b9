"""What an adapter is: pure, but for the contracts it has learned of."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Json
from listener.sources.base import Block, LogFilter, RawLog

RESERVES: Final = "reserves"
"""The kind of what a market's reserves are now: for the market engine only, told to nobody."""

Call: TypeAlias = tuple[str, bytes]
"""A question to a contract: its address, and call data."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a log says: the event's kind and data, and the token it is about.

    `conflation_key`: of a batch's events with the same one, only the last matters.
    """

    kind: str
    data: Mapping[str, Json]
    token: str | None = None
    conflation_key: str | None = None


Inquiry: TypeAlias = Generator[Sequence[Call], Sequence[bytes | None], list[Discovery]]
"""Yields questions to contracts, is sent their answers (None: a revert), returns what was found."""


class Adapter(Protocol):
    """Reads the logs of configured contracts and of those discovered through them."""

    @property
    def name(self) -> str:
        """Unique on its network, and the same in every life."""
        ...

    @property
    def wanted(self) -> LogFilter:
        """The logs it reads: what the source asks the node for."""
        ...

    def inquire(self, blocks: Sequence[Block]) -> Inquiry:
        """What there is to learn before these blocks can be read; nothing is learned by it."""
        ...

    def learn(self, discovery: Discovery) -> None:
        """Follow a discovered contract, found just now or before a restart."""
        ...

    def decode(self, log: RawLog) -> Decoded | None:
        """What the log says; `None` if it is not of a contract that is followed. Raises `Undecodable`."""
        ...


class DiscoversNothing:
    """The part of an adapter that follows what is configured and nothing else."""

    name: str

    def inquire(self, blocks: Sequence[Block]) -> Inquiry:
        yield from ()
        return []

    def learn(self, discovery: Discovery) -> None:
        raise AssertionError(f"{self.name} discovers nothing")
