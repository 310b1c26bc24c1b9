"""The interface of adapters. They are pure, except that they remember discovered contracts."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Json
from listener.sources.base import Block, LogFilter, RawLog

RESERVES: Final = "reserves"
"""Kind of an internal event with the current reserves of a pool: for the market engine, never delivered."""

Call: TypeAlias = tuple[str, bytes]
"""A read of a contract (eth_call): its address and call data."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded log: the event's kind and data, and the token that it belongs to.

    `conflation_key`: of several events of a batch with the same key, only the last is delivered.
    """

    kind: str
    data: Mapping[str, Json]
    token: str | None = None
    conflation_key: str | None = None


ContractReads: TypeAlias = Generator[Sequence[Call], Sequence[bytes | None], list[Discovery]]
"""A generator that yields calls, receives their results (None: reverted), and returns the discovered contracts."""


class Adapter(Protocol):
    """Reads the logs of configured contracts and of those discovered through them."""

    @property
    def name(self) -> str:
        """The adapter's name: unique within its network, and the same after a restart."""
        ...

    @property
    def wanted(self) -> LogFilter:
        """The logs that the adapter needs."""
        ...

    def contract_reads(self, blocks: Sequence[Block]) -> ContractReads:
        """Yield the reads that these blocks need; return the contracts that they created.

        The contracts are followed only after `add_contract`.
        """
        ...

    def add_contract(self, discovery: Discovery) -> None:
        """Follow a discovered contract, whether it was found just now or before a restart."""
        ...

    def decode(self, log: RawLog) -> Decoded | None:
        """Return the decoded log, or None if its contract is not followed. Raise `Undecodable`."""
        ...


class DiscoversNothing:
    """Mixin for adapters that follow only the configured contracts."""

    name: str

    def contract_reads(self, blocks: Sequence[Block]) -> ContractReads:
        yield from ()
        return []

    def add_contract(self, discovery: Discovery) -> None:
        raise AssertionError(f"{self.name} discovers nothing")
