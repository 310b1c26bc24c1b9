"""Events, and their form in `chaincast.v1` messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, Union

from chaincast.model.cursors import format_position

Json: TypeAlias = Union[bool, int, float, str, list["Json"], dict[str, "Json"], None]


class Kind:
    """The built-in kinds of event. Contracts' events and backends may have other kinds: any dotted name."""

    TOKEN_CREATED: Final = "token.created"  # noqa: S105 - no password
    TRADE: Final = "trade"
    TOKEN_GRADUATED: Final = "token.graduated"  # noqa: S105 - no password
    LIQUIDITY_ADDED: Final = "liquidity.added"
    LIQUIDITY_REMOVED: Final = "liquidity.removed"
    PRICE: Final = "price"
    CONTRACT_EVENT: Final = "contract.event"
    ALERT: Final = "alert"
    # Backends publish these kinds, and also PRICE and TRADE:
    ORDER_BOOK: Final = "order_book"
    ORDER: Final = "order"
    PORTFOLIO: Final = "portfolio"
    SYSTEM_ALERT: Final = "system.alert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A fact, immutable, in the form in which it is stored and queued. Dialects translate it for clients.

    `timestamp` is the block's, in milliseconds. `topics` are the exact topics of the event, without their `*` forms.
    `data` holds only JSON values; amounts that do not fit a JSON number exactly are decimal strings.
    The fields from `block` on are `None` for events that do not come from a chain. The batch that contains an event
    has its source and cursor.
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
    """Index (from 0) among the events that are derived from one log."""
    conflation_key: str | None = None
    """For events of which only the latest value matters (price, order book): a message contains one per key."""

    @property
    def narrow_kind(self) -> str:
        """Return the kind; for a contract's event with the event's name: `contract.event:Transfer`."""
        return f"{self.kind}:{self.data.get('event')}" if self.kind == Kind.CONTRACT_EVENT else self.kind

    @property
    def position(self) -> str:
        """Return the position on the chain, which is the sort key of History. Raise ValueError for other events."""
        if self.block is None or self.log_index is None:
            raise ValueError(f"event {self.id} has no position: it does not come from a chain")
        return format_position(self.block, self.log_index, self.n)


def event_id(source: str, block: int, block_hash: str, log_index: int, n: int = 0) -> str:
    """Return the id of an on-chain event. The same log of the same block always has the same id.

    `block_hash` is the 0x-prefixed hex hash. Its first 8 digits distinguish blocks of the same height, so that an event
    has another id after a reorganisation.
    """
    base = f"{source}:{block}:{block_hash.removeprefix('0x')[:8]}:{log_index}"
    return f"{base}:{n}" if n else base


def position_of(id_: str) -> str:
    """Return the position of the on-chain event with an id (`event_id`). Raise ValueError for other ids."""
    _, block, _, log_index, *n = id_.split(":")
    return format_position(int(block), int(log_index), int(n[0]) if n else 0)


def event_to_wire(event: Event) -> dict[str, object]:
    """Return an event as a `chaincast.v1` message contains it (docs/protocol.md), without its empty fields."""
    document: dict[str, object] = {
        "id": event.id,
        "kind": event.kind,
        "timestamp": event.timestamp,
        "topics": event.topics,
        "data": event.data,
    }
    for name in ("block", "tx_hash", "log_index", "contract", "token"):
        if (value := getattr(event, name)) is not None:
            document[name] = value
    return document


def event_from_wire(document: Mapping[str, Any]) -> Event:
    """Return the event of a `chaincast.v1` message: the inverse of `event_to_wire`. Unknown fields are ignored."""
    kind, topics = document["kind"], tuple(document["topics"])
    return Event(
        id=document["id"],
        kind=kind,
        timestamp=document["timestamp"],
        topics=topics,
        data=document["data"],
        block=document.get("block"),
        tx_hash=document.get("tx_hash"),
        log_index=document.get("log_index"),
        contract=document.get("contract"),
        token=document.get("token"),
        conflation_key=f"{kind} {topics[0]}" if kind in (Kind.PRICE, Kind.ORDER_BOOK) and topics else None,
    )
