"""The vocabulary of kaspump's clients: `subscribe:token` and its like (docs/dialects.md)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from chaincast.errors import ReplyContext, RequestError
from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Event, Json, Kind
from chaincast.protocol.commands import History, Outcome, Pong, Price, Subscribed, TokenSnapshot, Unsubscribed
from chaincast.protocol.dialects.event_fields import error_fields, network_of, text, trade_fields, whole_units
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit

_SUBSCRIPTION_VERBS: Final = ("subscribe:", "unsubscribe:")


def to_network(name: str) -> str:
    """Return Chaincast's name of a network from these clients' name: `bscTestnet` is `bsc-testnet`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", name).lower()


@lru_cache(256)
def to_client_network(network: str) -> str:
    """Return these clients' name of a network: `bsc-testnet` is `bscTestnet`."""
    return re.sub(r"-([a-z0-9])", lambda match: match[1].upper(), network)


class Kaspump:
    """The vocabulary; `chaincast.protocol.dialects.socketio.vocabulary.Vocabulary` describes its methods."""

    def event(self, event: Event) -> SocketIoEmit | None:
        """Return an event of a token."""
        match event.kind:
            case Kind.TOKEN_CREATED:
                return SocketIoEmit("token:created", _created(event))
            case Kind.TRADE if event.block is not None:
                return SocketIoEmit("trade:new", _trade(event))
            case Kind.TOKEN_GRADUATED:
                return SocketIoEmit("token:graduated", _graduated(event))
            case Kind.LIQUIDITY_ADDED:
                return SocketIoEmit("liquidity:added", _liquidity(event))
        return None

    def reply(self, outcome: Outcome) -> SocketIoEmit | None:
        """Return the reply, which names the room or the token as the client wrote it."""
        match outcome:
            case Subscribed(_, ReplyContext(_, (room, *_)), snapshots):
                snapshot = next(iter(snapshots.values()), None)
                return SocketIoEmit("subscription:confirmed", {"room": room, **_snapshot(snapshot)}, even_with_ack=True)
            case Unsubscribed(_, ReplyContext(_, (room, *_))):
                return SocketIoEmit("subscription:removed", {"room": room}, even_with_ack=True)
            case Price(_, _, event, ReplyContext(_, (token, network))):
                return SocketIoEmit("get:price", _price(event, token, network))
            case History(_, events, _, _):
                return SocketIoEmit("get:trades", [_trade(event) for event in events])
            case Pong(timestamp):
                return SocketIoEmit("pong", {"timestamp": timestamp})
        return None

    def error(self, error: RequestError) -> SocketIoEmit:
        """Return a `subscription:error` if a subscription failed, else an `error`."""
        verb = error.request_id.verb.partition("/")[2] if isinstance(error.request_id, ReplyContext) else ""
        fields: dict[str, Json] = {"error": error.message, **error_fields(error)}
        if verb.startswith(_SUBSCRIPTION_VERBS):
            return SocketIoEmit("subscription:error", fields, even_with_ack=True)
        return SocketIoEmit("error", {"message": error.message, **fields})


def _token_fields(event: Event) -> dict[str, Json]:
    return {"network": to_client_network(network_of(event)), "tokenAddress": event.token}


def _block_fields(event: Event) -> dict[str, Json]:
    return {"timestamp": event.timestamp, "blockNumber": event.block, "txHash": event.tx_hash, "id": event.id}


def _created(event: Event) -> dict[str, Json]:
    data = event.data
    named: dict[str, Json] = {name: text(data, name) for name in ("name", "symbol", "creator")}
    return {
        **_token_fields(event),
        **named,
        "ammAddress": text(data, "market"),
        "totalSupply": whole_units(data.get("supply"), NATIVE_DECIMALS),
        **_block_fields(event),
    }


def _trade(event: Event) -> dict[str, Json]:
    trade = trade_fields(event)
    return {
        **_token_fields(event),
        "symbol": trade.symbol,
        "type": trade.side,
        "price": trade.price,
        "amount": trade.token_amount,
        "tokenAmount": trade.token_amount,
        "nativeAmount": trade.quote_amount,
        "trader": trade.trader,
        **_block_fields(event),
    }


def _graduated(event: Event) -> dict[str, Json]:
    data = event.data
    return {
        **_token_fields(event),
        "symbol": text(data, "symbol"),
        "finalSupply": whole_units(data.get("final_supply"), NATIVE_DECIMALS),
        "totalRaised": whole_units(data.get("total_raised"), NATIVE_DECIMALS),
        **_block_fields(event),
    }


def _liquidity(event: Event) -> dict[str, Json]:
    data = event.data
    is_pair = "quote" in data
    native = (
        whole_units(data.get("quote_amount"), data.get("quote_decimals"))
        if is_pair
        else whole_units(data.get("native_amount"), NATIVE_DECIMALS)
    )
    return {
        **_token_fields(event),
        "symbol": text(data, "symbol"),
        "dexPair": text(data, "market" if is_pair else "pair"),
        # The Mint event of a pair does not say how many shares it made: the amount that was paid in is used instead.
        "liquidity": native if is_pair else whole_units(data.get("liquidity"), NATIVE_DECIMALS),
        "nativeAmount": native,
        "tokenAmount": whole_units(data.get("token_amount"), data.get("token_decimals", NATIVE_DECIMALS)),
        **_block_fields(event),
    }


def _snapshot(snapshot: TokenSnapshot | None) -> dict[str, Json]:
    """Return the price and trade of the token that a room is about; empty if it has none or the room has no token."""
    fields: dict[str, Json] = {}
    if snapshot is not None and snapshot.price is not None:
        fields["currentPrice"] = _native_price(snapshot.price)
    if snapshot is not None and snapshot.latest_trade is not None:
        fields["latestTrade"] = _trade(snapshot.latest_trade)
    return fields


def _price(event: Event | None, token: str, network: str) -> dict[str, Json]:
    if event is None:
        return {"network": network, "tokenAddress": token, "price": None}
    data = event.data
    return {
        **_token_fields(event),
        "price": _native_price(event),
        "priceUsd": data.get("price_usd"),
        "priceChange24h": data.get("change_24h"),
        "volume24h": whole_units(data.get("volume_24h"), NATIVE_DECIMALS),
        "liquidity": whole_units(data.get("liquidity"), NATIVE_DECIMALS),
        "timestamp": event.timestamp,
    }


def _native_price(price: Event) -> Json:
    """Return the price in native coins; in units of the quote if that is unknown."""
    return price.data.get("price_native") or price.data.get("price")
