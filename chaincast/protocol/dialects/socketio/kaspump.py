"""The vocabulary of kaspump's clients: `subscribe:token` and so on. docs/dialects.md."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from chaincast.errors import ClientError, Request
from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Event, Json, Kind
from chaincast.protocol.commands import History, Outcome, Pong, Price, Subscribed, TokenSnapshot, Unsubscribed
from chaincast.protocol.dialects.event_fields import error_fields, network_of, text, trade, units
from chaincast.protocol.dialects.socketio.vocabulary import SocketIoEmit

_SUBSCRIBING: Final = ("subscribe:", "unsubscribe:")


def ours(network: str) -> str:
    """A network as Chaincast calls it, from how these clients do: `bscTestnet` is `bsc-testnet`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", network).lower()


@lru_cache(256)
def theirs(network: str) -> str:
    """The other way round."""
    return re.sub(r"-([a-z0-9])", lambda found: found[1].upper(), network)


class Kaspump:
    """See `chaincast.protocol.dialects.socketio.vocabulary.Vocabulary`."""

    def event(self, event: Event) -> SocketIoEmit | None:
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

    def answer(self, outcome: Outcome) -> SocketIoEmit | None:
        match outcome:
            case Subscribed(_, Request(_, (room, *_)), now):
                return SocketIoEmit(
                    "subscription:confirmed", {"room": room, **_standing(next(iter(now.values()), None))}, True
                )
            case Unsubscribed(_, Request(_, (room, *_))):
                return SocketIoEmit("subscription:removed", {"room": room}, True)
            case Price(_, _, event, Request(_, (token, network))):
                return SocketIoEmit("get:price", _price(event, token, network))
            case History(_, events, _, _):
                return SocketIoEmit("get:trades", [_trade(event) for event in events])
            case Pong(timestamp):
                return SocketIoEmit("pong", {"timestamp": timestamp})
        return None

    def error(self, error: ClientError) -> SocketIoEmit:
        verb = error.request_id.verb.partition("/")[2] if isinstance(error.request_id, Request) else ""
        told: dict[str, Json] = {"error": error.message, **error_fields(error)}
        if verb.startswith(_SUBSCRIBING):
            return SocketIoEmit("subscription:error", told, True)
        return SocketIoEmit("error", {"message": error.message, **told})


def _where(event: Event) -> dict[str, Json]:
    return {"network": theirs(network_of(event)), "tokenAddress": event.token}


def _when(event: Event) -> dict[str, Json]:
    return {"timestamp": event.timestamp, "blockNumber": event.block, "txHash": event.tx_hash, "id": event.id}


def _created(event: Event) -> dict[str, Json]:
    data = event.data
    named: dict[str, Json] = {name: text(data, name) for name in ("name", "symbol", "creator")}
    return {
        **_where(event),
        **named,
        "ammAddress": text(data, "market"),
        "totalSupply": units(data.get("supply"), NATIVE_DECIMALS),
        **_when(event),
    }


def _trade(event: Event) -> dict[str, Json]:
    told = trade(event)
    return {
        **_where(event),
        "symbol": told.symbol,
        "type": told.side,
        "price": told.price,
        "amount": told.token_amount,
        "tokenAmount": told.token_amount,
        "nativeAmount": told.quote_amount,
        "trader": told.trader,
        **_when(event),
    }


def _graduated(event: Event) -> dict[str, Json]:
    data = event.data
    return {
        **_where(event),
        "symbol": text(data, "symbol"),
        "finalSupply": units(data.get("final_supply"), NATIVE_DECIMALS),
        "totalRaised": units(data.get("total_raised"), NATIVE_DECIMALS),
        **_when(event),
    }


def _liquidity(event: Event) -> dict[str, Json]:
    data = event.data
    is_pair = "quote" in data
    native = (
        units(data.get("quote_amount"), data.get("quote_decimals"))
        if is_pair
        else units(data.get("native_amount"), NATIVE_DECIMALS)
    )
    return {
        **_where(event),
        "symbol": text(data, "symbol"),
        "dexPair": text(data, "market" if is_pair else "pair"),
        # How many shares a Mint makes, its event does not say: then it is what was put in.
        "liquidity": native if is_pair else units(data.get("liquidity"), NATIVE_DECIMALS),
        "nativeAmount": native,
        "tokenAmount": units(data.get("token_amount"), data.get("token_decimals", NATIVE_DECIMALS)),
        **_when(event),
    }


def _standing(now: TokenSnapshot | None) -> dict[str, Json]:
    found: dict[str, Json] = {}
    if now is not None and now.price is not None:
        found["currentPrice"] = _quoted(now.price)
    if now is not None and now.latest_trade is not None:
        found["latestTrade"] = _trade(now.latest_trade)
    return found


def _price(event: Event | None, token: str, network: str) -> dict[str, Json]:
    if event is None:
        return {"network": network, "tokenAddress": token, "price": None}
    data = event.data
    return {
        **_where(event),
        "price": _quoted(event),
        "priceUsd": data.get("price_usd"),
        "priceChange24h": data.get("change_24h"),
        "volume24h": units(data.get("volume_24h"), NATIVE_DECIMALS),
        "liquidity": units(data.get("liquidity"), NATIVE_DECIMALS),
        "timestamp": event.timestamp,
    }


def _quoted(price: Event) -> Json:
    return price.data.get("price_native") or price.data.get("price")
