"""Events: one fact each. Frozen, so that a batch can be shared between encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, Union

from chaincast.model.cursors import format_position

Json: TypeAlias = Union[bool, int, float, str, list["Json"], dict[str, "Json"], None]


class Kind:
    """The kinds of event that Chaincast knows. A team may add its own: a kind is any dotted name."""

    TOKEN_CREATED: Final = "token.created"  # noqa: S105 - no password
    TRADE: Final = "trade"
    TOKEN_GRADUATED: Final = "token.graduated"  # noqa: S105 - no password
    LIQUIDITY_ADDED: Final = "liquidity.added"
    LIQUIDITY_REMOVED: Final = "liquidity.removed"
    PRICE: Final = "price"
    CONTRACT_EVENT: Final = "contract.event"
    ALERT: Final = "alert"
    # Only published by backends, as PRICE and TRADE are, too:
    ORDER_BOOK: Final = "order_book"
    ORDER: Final = "order"
    PORTFOLIO: Final = "portfolio"
    SYSTEM_ALERT: Final = "system.alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact, as it is stored, queued and (by a dialect) told.

    `timestamp` is the block's, in ms. `topics` are the exact topics it is filed under, without their `*` forms.
    `data` holds only JSON values; amounts that do not fit a JSON number exactly are decimal strings.
    The fields from `block` on are `None` for events that no chain brought. Which source and cursor an event has,
    its batch says.
    """

    id: str
    kind: str
    timestamp: int
    topics: tuple[str, ...]
    data: Mapping[str, Json]
    block: int | None = None
    tx_hash: str | None = None
    log_index: int | None = None
    contract: str | None = None
    token: str | None = None
    n: int = field(default=0)
    """Number among the events derived from one log."""
    conflation_key: str | None = None
    """Of events that only matter as the latest value (price, order book): of one key, the last in a message is enough.
    """

    @property
    def narrow_kind(self) -> str:
        """The kind, of a contract's event with its name: `contract.event:Transfer`."""
        return f"{self.kind}:{self.data.get('event')}" if self.kind == Kind.CONTRACT_EVENT else self.kind

    @property
    def position(self) -> str:
        """Where on the chain it happened; the sort key of History. Only for on-chain events."""
        if self.block is None or self.log_index is None:
            raise ValueError(f"event {self.id} has no place on a chain")
        return format_position(self.block, self.log_index, self.n)


def event_id(source: str, block: int, block_hash: str, log_index: int, n: int = 0) -> str:
    """Deterministic, unique per branch: the same log of the same block always has it, after a reorg another.

    `block_hash` is the 0x-prefixed hex hash; its first 8 digits tell branches of one height apart.
    """
    base = f"{source}:{block}:{block_hash.removeprefix('0x')[:8]}:{log_index}"
    return f"{base}:{n}" if n else base


def told_of(event: Event) -> dict[str, object]:
    """The event as `chaincast.v1` tells it (docs/protocol.md): what is not known is left out."""
    told: dict[str, object] = {
        "id": event.id,
        "kind": event.kind,
        "timestamp": event.timestamp,
        "topics": event.topics,
        "data": event.data,
    }
    for name in ("block", "tx_hash", "log_index", "contract", "token"):
        if (value := getattr(event, name)) is not None:
            told[name] = value
    return told


def event_told(told: Mapping[str, Any]) -> Event:
    """The event that `chaincast.v1` told: the inverse of `told_of`. Fields of a newer server are overlooked."""
    kind, topics = told["kind"], tuple(told["topics"])
    return Event(
        id=told["id"],
        kind=kind,
        timestamp=told["timestamp"],
        topics=topics,
        data=told["data"],
        block=told.get("block"),
        tx_hash=told.get("tx_hash"),
        log_index=told.get("log_index"),
        contract=told.get("contract"),
        token=told.get("token"),
        conflation_key=f"{kind} {topics[0]}" if kind in (Kind.PRICE, Kind.ORDER_BOOK) and topics else None,
    )
