"""What a source gives: blocks with the logs that were asked for, whatever node or protocol they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RawLog:
    """A contract's log as the chain has it. `address` in lower case; `tx_hash` 0x-prefixed."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    log_index: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header and those of its logs that were asked for, in log order. `timestamp` in seconds."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    logs: tuple[RawLog, ...] = ()


@dataclass(frozen=True, slots=True)
class LogFilter:
    """Logs of any of `addresses` with any of `topics0` (event signatures); an empty tuple means all."""

    addresses: tuple[str, ...] = ()
    topics0: tuple[bytes, ...] = ()


class Source(Protocol):
    """A chain, as the listener sees it. Methods raise `SourceError` when the node fails; calling again may help.

    They raise `WrongChain` if a node serves another chain: nothing will help. Connections are opened when needed.
    """

    async def close(self) -> None: ...

    async def head(self) -> int:
        """The number of the newest block."""
        ...

    async def head_after(self, block: int) -> int:
        """Wait until the head is beyond `block`; its number. Returns the old head when nothing came for a while."""
        ...

    async def header(self, number: int) -> Block:
        """A block as it is on the chain now, without logs."""
        ...

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        """Blocks `first`…`last` in order: those with logs that one of the filters wants, and always the first and last.

        Each log's block hash was checked against its header. `linked`: every block is there, and each one's parent hash
        was checked, so that what is returned is of one branch, even if the node changed its mind meanwhile.
        Raises `RangeTooLarge` if a shorter range would do.
        """
        ...

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        """What contracts answer to (address, call data), as of now; None where one reverts or is no contract."""
        ...
