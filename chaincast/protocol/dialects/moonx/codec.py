"""`moonx`: every message an envelope `{id, type, timestamp, data}`, one event each. docs/dialects.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import orjson

from chaincast.errors import ClientError, Request, RequestId
from chaincast.model.amounts import NATIVE_DECIMALS, plain
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
from chaincast.protocol.dialects.event_fields import error_fields, network_of, text, trade, units, user_fields
from chaincast.protocol.dialects.mixins import SingleEventMessages

AUTHENTICATION_MS: Final = 10_000
"""How long a client has to authenticate, where it must."""


class Moonx(SingleEventMessages):
    """The codec. See `chaincast.protocol.dialects.base.Dialect` for what each method promises."""

    name = "moonx"
    requires_join = answers_pings = False

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._shapes: Mapping[str, tuple[str, Callable[[Event], dict[str, Json]]]] = {
            Kind.PRICE: ("price_update", self._price),
            Kind.TRADE: ("trade_update", self._trade),
            Kind.ORDER: ("order_update", _own),
            Kind.PORTFOLIO: ("portfolio_update", _own),
            Kind.SYSTEM_ALERT: ("system_alert", lambda event: dict(event.data)),
        }

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        from chaincast.protocol.dialects.moonx.messages import decode  # pydantic: not for those that only encode

        return decode(body, max_bytes, max_topics)

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        match outcome:
            case Connected(connection_id):
                data: dict[str, Json] = {"timeout": AUTHENTICATION_MS}
                return (_envelope(f"auth_req_{connection_id}", "auth_required", now_ms, data),)
            case Authenticated(user, request_id):
                return (_answer("auth_success", "auth_success", request_id, now_ms, user_fields(user)),)
            case Subscribed(_, request_id):
                data = {"channel": _channel_of(request_id)}
                return (_answer("sub_confirmed", "subscribed", request_id, now_ms, data),)
            case Unsubscribed(_, request_id):
                data = {"channel": _channel_of(request_id)}
                return (_answer("unsub_confirmed", "unsubscribed", request_id, now_ms, data),)
            case Pong(timestamp, request_id):
                return (_answer("pong", "pong", request_id, timestamp, {}),)
            case AuthenticationExpired(grace_seconds):
                # Then what asks for a token at the beginning, too: clients know how to answer that.
                data = {"timeout": grace_seconds * 1000}
                types = ("auth_expired", "auth_required")
                return tuple(_envelope(f"{type_}_{now_ms}", type_, now_ms, data) for type_ in types)
            case ClientError(request_id=request_id):
                failed = isinstance(request_id, Request) and request_id.verb == "authenticate"
                type_ = "auth_failed" if failed else "error"
                told = {"error": outcome.message, **error_fields(outcome)}
                return (_answer(type_, type_, request_id, now_ms, told),)
        return ()

    def ping_message(self, now_ms: int) -> bytes | None:
        return _envelope(f"ping_{now_ms}", "ping", now_ms, {})

    def event_fragment(self, event: Event) -> bytes | None:
        found = self._shapes.get(event.kind)
        if found is None:
            return None
        type_, shape = found
        return _envelope(f"{type_}_{event.id}", type_, event.timestamp, shape(event))

    def _chain_id(self, event: Event) -> int | None:
        return self._chains.get(network_of(event))

    def _price(self, event: Event) -> dict[str, Json]:
        data = event.data
        if event.block is None:
            return {
                "token": data.get("symbol"),
                "chainId": data.get("chainId"),
                "price": _digits(data.get("price")),
                "priceUsd": _digits(data.get("priceUsd", data.get("price"))),
                "change24h": _digits(data.get("change24h", data.get("change"))),
                "volume24h": _digits(data.get("volume24h", data.get("volume"))),
                "timestamp": event.timestamp,
            }
        dollars = data.get("volume_24h_usd")
        return {
            "token": text(data, "symbol"),
            "address": event.token,
            "chainId": self._chain_id(event),
            "price": data.get("price_native") or data.get("price"),
            "priceUsd": data.get("price_usd"),
            "change24h": _digits(data.get("change_24h")) or "0",
            "volume24h": _digits(dollars) if dollars is not None else units(data.get("volume_24h"), NATIVE_DECIMALS),
            "timestamp": event.timestamp,
        }

    def _trade(self, event: Event) -> dict[str, Json]:
        if event.block is None:
            return _published_trade(event)
        told = trade(event)
        token, quote = (told.symbol, told.token_amount), (told.quote, told.quote_amount)
        (token_in, amount_in), (token_out, amount_out) = (quote, token) if told.side == "buy" else (token, quote)
        return {
            "tradeId": event.id,
            "userId": told.trader,
            "tokenIn": token_in,
            "tokenOut": token_out,
            "amountIn": amount_in,
            "amountOut": amount_out,
            "txHash": event.tx_hash,
            "chainId": self._chain_id(event),
        }


def _published_trade(event: Event) -> dict[str, Json]:
    """As the backend put it; where it told a price and a side of a pair BASE-QUOTE, what went in and out follows."""
    told = {name: value for name, value in event.data.items() if name != "personal"}
    if (user := _user_of(event)) is not None:
        told["userId"] = user
    told.setdefault("tradeId", event.id)
    price, amount = (_decimal(told.get(name)) for name in ("price", "amount"))
    base, _, quote = text(told, "symbol").partition("-")
    if "tokenIn" not in told and price is not None and amount is not None and quote:
        token, paid = (base, plain(amount)), (quote, plain(price * amount))
        (token_in, amount_in), (token_out, amount_out) = (paid, token) if told.get("side") == "buy" else (token, paid)
        told |= {"tokenIn": token_in, "tokenOut": token_out, "amountIn": amount_in, "amountOut": amount_out}
    return told


def _own(event: Event) -> dict[str, Json]:
    """An order or a portfolio, as the backend put it, and whose it is."""
    return {**event.data, "userId": _user_of(event)}


def _user_of(event: Event) -> str | None:
    private = next((t for t in event.topics if t.startswith(("user:", "orders:", "portfolio:"))), None)
    return None if private is None else private.partition(":")[2]


def _decimal(value: Json) -> Decimal | None:
    try:
        return Decimal(str(value)) if isinstance(value, (int, float, str)) else None
    except InvalidOperation:
        return None


def _digits(value: Json) -> Json:
    """A number as the string of it: this protocol's numbers are strings."""
    return orjson.dumps(value).decode() if isinstance(value, (int, float)) else value


def _answer(prefix: str, type_: str, request_id: RequestId, now_ms: int, data: Mapping[str, Json]) -> bytes:
    own = request_id.about[0] if isinstance(request_id, Request) and request_id.about else ""
    return _envelope(f"{prefix}_{own or now_ms}", type_, now_ms, data)


def _channel_of(request_id: RequestId) -> str:
    return request_id.about[1] if isinstance(request_id, Request) and len(request_id.about) > 1 else ""


def _envelope(id_: str, type_: str, timestamp: int, data: Mapping[str, Json]) -> bytes:
    return orjson.dumps({"id": id_, "type": type_, "timestamp": timestamp, "data": data})
