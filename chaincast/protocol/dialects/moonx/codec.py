"""`moonx`: every message is an envelope `{id, type, timestamp, data}` with one event (docs/dialects.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

import orjson

from chaincast.errors import ReplyContext, RequestError, RequestId
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
from chaincast.protocol.dialects.event_fields import (
    error_fields,
    network_of,
    text,
    trade_fields,
    user_fields,
    whole_units,
)
from chaincast.protocol.dialects.mixins import SingleEventMessages

AUTHENTICATION_MS: Final = 10_000
"""Milliseconds that a client has to authenticate, where authentication is required."""


class Moonx(SingleEventMessages):
    """The codec; `chaincast.protocol.dialects.base.Dialect` describes its methods."""

    name = "moonx"
    requires_join = answers_pings = False

    def __init__(self, chains: Chains) -> None:
        self._chains = chains
        self._encoders: Mapping[str, tuple[str, Callable[[Event], dict[str, Json]]]] = {
            Kind.PRICE: ("price_update", self._price),
            Kind.TRADE: ("trade_update", self._trade),
            Kind.ORDER: ("order_update", _with_user),
            Kind.PORTFOLIO: ("portfolio_update", _with_user),
            Kind.SYSTEM_ALERT: ("system_alert", lambda event: dict(event.data)),
        }

    def decode(self, body: bytes, max_bytes: int, max_topics: int) -> Command:
        """Return the client's command. Raises `RequestError`."""
        # Imported here, because functions that only encode must not import pydantic.
        from chaincast.protocol.dialects.moonx.messages import decode

        return decode(body, max_bytes, max_topics)

    def outcome_messages(self, outcome: Outcome, now_ms: int) -> tuple[bytes, ...]:
        """Return the reply; nothing for outcomes that have no message."""
        match outcome:
            case Connected(connection_id):
                data: dict[str, Json] = {"timeout": AUTHENTICATION_MS}
                return (_envelope(f"auth_req_{connection_id}", "auth_required", now_ms, data),)
            case Authenticated(user, request_id):
                return (_reply("auth_success", "auth_success", request_id, now_ms, user_fields(user)),)
            case Subscribed(_, request_id):
                data = {"channel": _channel_of(request_id)}
                return (_reply("sub_confirmed", "subscribed", request_id, now_ms, data),)
            case Unsubscribed(_, request_id):
                data = {"channel": _channel_of(request_id)}
                return (_reply("unsub_confirmed", "unsubscribed", request_id, now_ms, data),)
            case Pong(timestamp, request_id):
                return (_reply("pong", "pong", request_id, timestamp, {}),)
            case AuthenticationExpired(grace_seconds):
                # Clients of the original server know `auth_required`, so it follows the new message.
                data = {"timeout": grace_seconds * 1000}
                types = ("auth_expired", "auth_required")
                return tuple(_envelope(f"{type_}_{now_ms}", type_, now_ms, data) for type_ in types)
            case RequestError(request_id=request_id):
                authenticating = isinstance(request_id, ReplyContext) and request_id.verb == "authenticate"
                type_ = "auth_failed" if authenticating else "error"
                data = {"error": outcome.message, **error_fields(outcome)}
                return (_reply(type_, type_, request_id, now_ms, data),)
        return ()

    def ping_message(self, now_ms: int) -> bytes | None:
        """Return a `ping` message, which clients do not have to answer."""
        return _envelope(f"ping_{now_ms}", "ping", now_ms, {})

    def event_fragment(self, event: Event) -> bytes | None:
        """Return the event as a complete message."""
        if event.kind not in self._encoders:
            return None
        type_, encode = self._encoders[event.kind]
        return _envelope(f"{type_}_{event.id}", type_, event.timestamp, encode(event))

    def _chain_id(self, event: Event) -> int | None:
        return self._chains.get(network_of(event))

    def _price(self, event: Event) -> dict[str, Json]:
        data = event.data
        if event.block is None:
            return {
                "token": data.get("symbol"),
                "chainId": data.get("chainId"),
                "price": _number_text(data.get("price")),
                "priceUsd": _number_text(data.get("priceUsd", data.get("price"))),
                "change24h": _number_text(data.get("change24h", data.get("change"))),
                "volume24h": _number_text(data.get("volume24h", data.get("volume"))),
                "timestamp": event.timestamp,
            }
        volume_usd = data.get("volume_24h_usd")
        return {
            "token": text(data, "symbol"),
            "address": event.token,
            "chainId": self._chain_id(event),
            "price": data.get("price_native") or data.get("price"),
            "priceUsd": data.get("price_usd"),
            "change24h": _number_text(data.get("change_24h")) or "0",
            "volume24h": _number_text(volume_usd)
            if volume_usd is not None
            else whole_units(data.get("volume_24h"), NATIVE_DECIMALS),
            "timestamp": event.timestamp,
        }

    def _trade(self, event: Event) -> dict[str, Json]:
        if event.block is None:
            return _published_trade(event)
        trade = trade_fields(event)
        token, quote = (trade.symbol, trade.token_amount), (trade.quote, trade.quote_amount)
        (token_in, amount_in), (token_out, amount_out) = (quote, token) if trade.side == "buy" else (token, quote)
        return {
            "tradeId": event.id,
            "userId": trade.trader,
            "tokenIn": token_in,
            "tokenOut": token_out,
            "amountIn": amount_in,
            "amountOut": amount_out,
            "txHash": event.tx_hash,
            "chainId": self._chain_id(event),
        }


def _published_trade(event: Event) -> dict[str, Json]:
    """Return a trade as the backend published it.

    If it has a price and the symbol of a pair BASE-QUOTE, the amounts in and out are computed from them.
    """
    data = {name: value for name, value in event.data.items() if name != "personal"}
    if (user := _user_of(event)) is not None:
        data["userId"] = user
    data.setdefault("tradeId", event.id)
    price, amount = _decimal(data.get("price")), _decimal(data.get("amount"))
    base, _, quote = text(data, "symbol").partition("-")
    if "tokenIn" not in data and price is not None and amount is not None and quote:
        token, paid = (base, plain(amount)), (quote, plain(price * amount))
        (token_in, amount_in), (token_out, amount_out) = (paid, token) if data.get("side") == "buy" else (token, paid)
        data |= {"tokenIn": token_in, "tokenOut": token_out, "amountIn": amount_in, "amountOut": amount_out}
    return data


def _with_user(event: Event) -> dict[str, Json]:
    """Return an order or a portfolio as the backend published it, with the user that it belongs to."""
    return {**event.data, "userId": _user_of(event)}


def _user_of(event: Event) -> str | None:
    """Return the user that a private topic of the event names; None if it has no private topic."""
    private = next((topic for topic in event.topics if topic.startswith(("user:", "orders:", "portfolio:"))), None)
    return None if private is None else private.partition(":")[2]


def _decimal(value: Json) -> Decimal | None:
    try:
        return Decimal(str(value)) if isinstance(value, (int, float, str)) else None
    except InvalidOperation:
        return None


def _number_text(value: Json) -> Json:
    """Return a number as a string, as this protocol writes numbers; any other value unchanged."""
    return orjson.dumps(value).decode() if isinstance(value, (int, float)) else value


def _reply(prefix: str, type_: str, request_id: RequestId, now_ms: int, data: Mapping[str, Json]) -> bytes:
    """Return a message whose id ends with the id of the client's message, or with the time if it has none."""
    client_id = request_id.about[0] if isinstance(request_id, ReplyContext) and request_id.about else ""
    return _envelope(f"{prefix}_{client_id or now_ms}", type_, now_ms, data)


def _channel_of(request_id: RequestId) -> str:
    return request_id.about[1] if isinstance(request_id, ReplyContext) and len(request_id.about) > 1 else ""


def _envelope(id_: str, type_: str, timestamp: int, data: Mapping[str, Json]) -> bytes:
    return orjson.dumps({"id": id_, "type": type_, "timestamp": timestamp, "data": data})
