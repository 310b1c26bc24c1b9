"""`coremem`: JSON objects with a `type`; events arrive as arrays in the `data` of a channel (docs/dialects.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import orjson

from chaincast.errors import ReplyContext, RequestError, RequestId
from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Event, Json, Kind
from chaincast.protocol.commands import (
    Authenticated,
    AuthenticationExpired,
    Command,
    Connected,
    Outcome,
    Pong,
    Subscribed,
    Unsubscribed,
)
from chaincast.protocol.dialects.base import Chains
from chaincast.protocol.dialects.event_fields import (
    ANONYMOUS,
    error_fields,
    native_coins,
    number,
    text,
    trade_fields,
    whole_units,
)
from chaincast.protocol.dialects.mixins import WithoutRetractions

_CHANNEL: Final[Mapping[str, str]] = {
    Kind.PRICE: "prices",
    Kind.TOKEN_CREATED: "tokens",
    Kind.TRADE: "trades",
    Kind.ALERT: "alerts",
    Kind.SYSTEM_ALERT: "system",
}
"""Kind → channel that carries its events."""

_PROMOTED_FIELDS: Final = frozenset({"type", "severity", "title", "message", "name", "symbol", "market"})
"""Members of an alert's data that the message carries at its top level or not at all; the others stay in `data`."""


class Coremem(WithoutRetractions):
    """The codec; `chaincast.protocol.dialects.base.Dialect` describes its methods."""

    name = "coremem"
    overhead = 96
    separator = 1
    single_event_messages = requires_join = answers_pings = False

    def __init__(self, chains: Chains) -> None:
        """Ignore the chain ids: this protocol has only one chain."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        """Return the client's command. Raises `RequestError`."""
        # Imported here, because functions that only encode must not import pydantic.
        from chaincast.protocol.dialects.coremem.messages import decode

        return decode(body, max_bytes, max_topics)

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        """Return the reply, followed by the data that it brings; nothing for outcomes that have no message."""
        match outcome:
            case Connected(connection_id):
                return (orjson.dumps({"type": "connected", "clientId": connection_id, "timestamp": now_ms}),)
            case Subscribed(_, request_id, snapshots, recent_events):
                prices = [snapshot.price for snapshot in snapshots.values() if snapshot.price is not None]
                confirmed = orjson.dumps({"type": "subscribed", "channel": _channel_of(request_id)})
                return (confirmed, *self._data(prices), *self._data(reversed(recent_events)))
            case Unsubscribed(_, request_id):
                return (orjson.dumps({"type": "unsubscribed", "channel": _channel_of(request_id)}),)
            case Pong(timestamp):
                return (orjson.dumps({"type": "pong", "timestamp": timestamp}),)
            case Authenticated(user):
                return (orjson.dumps({"type": "authenticated", "userId": ANONYMOUS if user is None else user.id}),)
            case AuthenticationExpired(grace_seconds):
                return (orjson.dumps({"type": "auth_expired", "timeout": grace_seconds * 1000, "timestamp": now_ms}),)
            case RequestError():
                return (orjson.dumps({"type": "error", "message": outcome.message, **error_fields(outcome)}),)
        return ()

    def ping_message(self, now_ms: int) -> bytes | None:
        """Return a `ping` message, which clients do not have to answer."""
        return orjson.dumps({"type": "ping", "timestamp": now_ms})

    def event_fragment(self, event: Event) -> bytes | None:
        """Return the event as an element of its channel's array."""
        # Backends publish trades and prices of the same kinds; this protocol has only those of the chain.
        encode = _ENCODERS.get(event.kind) if event.block is not None or event.kind == Kind.SYSTEM_ALERT else None
        return None if encode is None else orjson.dumps(encode(event))

    def channel(self, event: Event) -> str:
        """Return the channel of the event's kind."""
        return _CHANNEL[event.kind]

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        """Return a `data` message."""
        head = f'{{"type":"data","channel":"{channel}","data":{{"{channel}":['.encode()
        return b"%b%b]}}" % (head, b",".join(fragments))

    def _data(self, events: Iterable[Event]) -> tuple[bytes, ...]:
        """Return one `data` message with events of the same channel; nothing if there are none."""
        channel = ""
        fragments = []
        for event in events:
            fragment = self.event_fragment(event)
            if fragment is not None:
                channel = channel or self.channel(event)
                fragments.append(fragment)
        return (self.events_message("", "", channel, fragments),) if fragments else ()


def _channel_of(request_id: RequestId) -> str:
    return request_id.about[0] if isinstance(request_id, ReplyContext) and request_id.about else ""


def _price(event: Event) -> dict[str, Json]:
    data = event.data
    in_dollars = data.get("price_usd") is not None
    volume, liquidity = data.get("volume_24h_usd"), data.get("liquidity_usd")
    return {
        "id": event.id,
        "tokenAddress": event.token,
        "tokenSymbol": text(data, "symbol"),
        "price": number(data.get("price_usd") if in_dollars else data.get("price_native") or data.get("price")),
        "priceChange24h": number(data.get("change_24h")) or 0.0,
        "volume24h": number(volume) if in_dollars and volume is not None else native_coins(data.get("volume_24h")),
        "liquidity": number(liquidity) if in_dollars and liquidity is not None else native_coins(data.get("liquidity")),
        "timestamp": event.timestamp,
    }


def _token(event: Event) -> dict[str, Json]:
    data = event.data
    return {
        "id": event.id,
        "address": event.token,
        "name": text(data, "name"),
        "symbol": text(data, "symbol"),
        "totalSupply": whole_units(data.get("supply"), NATIVE_DECIMALS),
        "creator": text(data, "creator"),
        "pairAddress": text(data, "market"),
        "initialLiquidity": "0",  # a launchpad's bonding curve starts without liquidity
        "timestamp": event.timestamp,
        "blockNumber": event.block,
        "txHash": event.tx_hash,
    }


def _trade(event: Event) -> dict[str, Json]:
    trade = trade_fields(event)
    return {
        "id": event.id,
        "txHash": event.tx_hash,
        "tokenAddress": event.token,
        "tokenSymbol": trade.symbol,
        "trader": trade.trader,
        "type": trade.side,
        "amountToken": trade.token_amount,
        "amountCore": trade.quote_amount,
        "price": number(trade.price),
        "timestamp": event.timestamp,
        "blockNumber": event.block,
        "dex": trade.venue,
    }


def _alert(event: Event) -> dict[str, Json]:
    data = event.data
    details = {name: value for name, value in data.items() if name not in _PROMOTED_FIELDS}
    if data.get("type") == "whale":
        value = data.get("value_usd")
        details |= {
            "walletAddress": text(data, "trader"),
            "action": text(data, "side"),
            "amount": number(whole_units(data.get("token_amount"), data.get("token_decimals", NATIVE_DECIMALS))),
            "value": number(value) if value is not None else native_coins(data.get("value")),
        }
    return {
        "id": event.id,
        "type": text(data, "type"),
        "tokenAddress": event.token,
        "tokenSymbol": text(data, "symbol"),
        "title": text(data, "title"),
        "message": text(data, "message"),
        "severity": text(data, "severity"),
        "data": details,
        "timestamp": event.timestamp,
    }


def _system(event: Event) -> dict[str, Json]:
    return {"id": event.id, **event.data, "timestamp": event.timestamp}


_ENCODERS: Final[Mapping[str, Callable[[Event], dict[str, Json]]]] = {
    Kind.PRICE: _price,
    Kind.TOKEN_CREATED: _token,
    Kind.TRADE: _trade,
    Kind.ALERT: _alert,
    Kind.SYSTEM_ALERT: _system,
}
"""Kind → function that returns an event's element."""
