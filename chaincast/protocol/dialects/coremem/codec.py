"""`coremem`: JSON objects with a `type`; what is new comes as `data` of a channel, in arrays. docs/dialects.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import orjson

from chaincast.errors import ClientError, Request, RequestId
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
from chaincast.protocol.dialects.event_fields import ANONYMOUS, coins, error_fields, number, text, trade, units
from chaincast.protocol.dialects.mixins import WithoutRetractions

_CHANNEL: Final[Mapping[str, str]] = {
    Kind.PRICE: "prices",
    Kind.TOKEN_CREATED: "tokens",
    Kind.TRADE: "trades",
    Kind.ALERT: "alerts",
    Kind.SYSTEM_ALERT: "system",
}
_FACTS: Final = frozenset({"type", "severity", "title", "message", "name", "symbol", "market"})
"""Members of an alert's data that it has a place of its own for, or none."""


class Coremem(WithoutRetractions):
    """The codec. See `chaincast.protocol.dialects.base.Dialect` for what each method promises."""

    name = "coremem"
    overhead = 96
    separator = 1
    single_event_messages = requires_join = answers_pings = False

    def __init__(self, chains: Chains) -> None:
        """There is one chain here, whichever it is."""

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        from chaincast.protocol.dialects.coremem.messages import decode  # pydantic: not for those that only encode

        return decode(body, max_bytes, max_topics)

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        match outcome:
            case Connected(connection_id):
                return (orjson.dumps({"type": "connected", "clientId": connection_id, "timestamp": now_ms}),)
            case Subscribed(_, request_id, now, recent):
                prices = [n.price for n in now.values() if n.price is not None]
                confirmed = orjson.dumps({"type": "subscribed", "channel": _channel_of(request_id)})
                return (confirmed, *self._data(prices), *self._data(reversed(recent)))
            case Unsubscribed(_, request_id):
                return (orjson.dumps({"type": "unsubscribed", "channel": _channel_of(request_id)}),)
            case Pong(timestamp):
                return (orjson.dumps({"type": "pong", "timestamp": timestamp}),)
            case Authenticated(user):
                return (orjson.dumps({"type": "authenticated", "userId": ANONYMOUS if user is None else user.id}),)
            case AuthenticationExpired(grace_seconds):
                return (orjson.dumps({"type": "auth_expired", "timeout": grace_seconds * 1000, "timestamp": now_ms}),)
            case ClientError():
                return (orjson.dumps({"type": "error", "message": outcome.message, **error_fields(outcome)}),)
        return ()

    def ping_message(self, now_ms: int) -> bytes | None:
        return orjson.dumps({"type": "ping", "timestamp": now_ms})

    def event_fragment(self, event: Event) -> bytes | None:
        # A backend's trades and prices have kinds of the same names, and no token.
        shape = _SHAPES.get(event.kind) if event.block is not None or event.kind == Kind.SYSTEM_ALERT else None
        return None if shape is None else orjson.dumps(shape(event))

    def channel(self, event: Event) -> str:
        return _CHANNEL[event.kind]

    def events_message(self, source: str, cursor: str, channel: str, fragments: Sequence[bytes]) -> bytes:
        head = f'{{"type":"data","channel":"{channel}","data":{{"{channel}":['.encode()
        return b"%b%b]}}" % (head, b",".join(fragments))

    def _data(self, events: Iterable[Event]) -> tuple[bytes, ...]:
        found = [(event, fragment) for event in events if (fragment := self.event_fragment(event)) is not None]
        if not found:
            return ()
        return (self.events_message("", "", self.channel(found[0][0]), [fragment for _, fragment in found]),)


def _channel_of(request_id: RequestId) -> str:
    return request_id.about[0] if isinstance(request_id, Request) and request_id.about else ""


def _price(event: Event) -> dict[str, Json]:
    data = event.data
    dollars = data.get("price_usd") is not None
    volume, liquidity = data.get("volume_24h_usd"), data.get("liquidity_usd")
    return {
        "id": event.id,
        "tokenAddress": event.token,
        "tokenSymbol": text(data, "symbol"),
        "price": number(data.get("price_usd") if dollars else data.get("price_native") or data.get("price")),
        "priceChange24h": number(data.get("change_24h")) or 0.0,
        "volume24h": number(volume) if dollars and volume is not None else coins(data.get("volume_24h")),
        "liquidity": number(liquidity) if dollars and liquidity is not None else coins(data.get("liquidity")),
        "timestamp": event.timestamp,
    }


def _token(event: Event) -> dict[str, Json]:
    data = event.data
    return {
        "id": event.id,
        "address": event.token,
        "name": text(data, "name"),
        "symbol": text(data, "symbol"),
        "totalSupply": units(data.get("supply"), NATIVE_DECIMALS),
        "creator": text(data, "creator"),
        "pairAddress": text(data, "market"),
        "initialLiquidity": "0",  # a curve begins with nobody's money in it
        "timestamp": event.timestamp,
        "blockNumber": event.block,
        "txHash": event.tx_hash,
    }


def _trade(event: Event) -> dict[str, Json]:
    told = trade(event)
    return {
        "id": event.id,
        "txHash": event.tx_hash,
        "tokenAddress": event.token,
        "tokenSymbol": told.symbol,
        "trader": told.trader,
        "type": told.side,
        "amountToken": told.token_amount,
        "amountCore": told.quote_amount,
        "price": number(told.price),
        "timestamp": event.timestamp,
        "blockNumber": event.block,
        "dex": told.venue,
    }


def _alert(event: Event) -> dict[str, Json]:
    data = event.data
    facts = {name: value for name, value in data.items() if name not in _FACTS}
    if data.get("type") == "whale":
        value = data.get("value_usd")
        facts |= {
            "walletAddress": text(data, "trader"),
            "action": text(data, "side"),
            "amount": number(units(data.get("token_amount"), data.get("token_decimals", NATIVE_DECIMALS))),
            "value": number(value) if value is not None else coins(data.get("value")),
        }
    return {
        "id": event.id,
        "type": text(data, "type"),
        "tokenAddress": event.token,
        "tokenSymbol": text(data, "symbol"),
        "title": text(data, "title"),
        "message": text(data, "message"),
        "severity": text(data, "severity"),
        "data": facts,
        "timestamp": event.timestamp,
    }


def _system(event: Event) -> dict[str, Json]:
    return {"id": event.id, **event.data, "timestamp": event.timestamp}


_SHAPES: Final[Mapping[str, Callable[[Event], dict[str, Json]]]] = {
    Kind.PRICE: _price,
    Kind.TOKEN_CREATED: _token,
    Kind.TRADE: _trade,
    Kind.ALERT: _alert,
    Kind.SYSTEM_ALERT: _system,
}
