"""The interface of sources: blocks with the requested logs, independent of the node and its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RawLog:
    """A contract's log before decoding. `address` is in lower case, `tx_hash` begins with 0x."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    log_index: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header and its requested logs, in log order. `timestamp` is in seconds since 1970."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    logs: tuple[RawLog, ...] = ()


@dataclass(frozen=True, slots=True)
class LogFilter:
    """A filter for logs of any of `addresses` with any of `topics0` (event signatures). An empty tuple means all."""

    addresses: tuple[str, ...] = ()
    topics0: tuple[bytes, ...] = ()


class Source(Protocol):
    """A chain that the listener reads. Connections are opened when they are needed.

    The methods raise `SourceError` if the node fails; a later call may succeed. They raise `WrongChain` if the node
    serves a chain other than the configured one; no later call will succeed.
    """

    async def close(self) -> None: ...

    async def head(self) -> int:
        """Return the number of the newest block."""
        ...

    async def head_after(self, block: int) -> int:
        """Wait until the head is beyond `block` and return it. Return the old head if no block arrives for a while."""
        ...

    async def header(self, number: int) -> Block:
        """Return the block that the chain has at this height now, without logs."""
        ...

    async def blocks(self, first: int, last: int, wanted: Sequence[LogFilter], *, linked: bool) -> list[Block]:
        """Return the blocks of `first`…`last` whose logs match a filter, and always the first and the last, in order.

        The block hash of each log is checked against its header. If `linked` is true, all blocks of the range are
        returned and the parent hash of each is checked, so that they are of one branch even if the node reorganised
        its chain between two requests. Raise `RangeTooLarge` if the provider requires a shorter range.
        """
        ...

    async def read(self, calls: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        """Return the results of contract calls (address, call data) at the newest block; None for a reverted call."""
        ...
