"""The data of `price` events. Floats occur only in the data of events, never in the state."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Json
from listener.market.prices import change, product, shown, whole
from listener.market.reference import Rates
from listener.market.token import Pool, Token, pool_price


def price_data(token: Token, rates: Rates) -> Mapping[str, Json] | None:
    """Return the data of a token's `price` event, or None while it has no market.

    `price` is in the quote of its main pool, `price_native` in the native coin, `volume_24h` and `liquidity` in wei.
    """
    pool = token.main_pool()
    if pool is None:
        return None
    volume, liquidity = token.series.volume_of(0), token.liquidity(rates)
    return {
        "market": pool.address,
        "name": token.name,
        "symbol": token.symbol,
        **_pool_data(pool, token.decimals),
        "price_native": shown(token.price),
        "price_usd": shown(token.price_usd),
        "change_24h": change_24h(token),
        "volume_24h": str(volume),
        "volume_24h_usd": _dollars(volume, rates),
        "trades_24h": token.series.count_of(0),
        "liquidity": None if liquidity is None else str(liquidity),
        "liquidity_usd": None if liquidity is None else _dollars(liquidity, rates),
        "supply": None if token.supply is None else str(token.supply),
        "market_cap_usd": _market_cap(token),
        "trades": token.trades,
        "buys": token.trades - token.sells,
        "sells": token.sells,
        "created_at": token.created_at,
        "latest_trade": None
        if token.latest is None
        else {
            "id": token.latest.id,
            "timestamp": token.latest.timestamp,
            "side": token.latest.side,
            "price": token.latest.price,
        },
    }


def change_24h(token: Token) -> float | None:
    """Return the change of the price in percent, over 24 h or since the first price."""
    before = token.series.before(0)
    if token.price is None or before is None:
        return None
    moved = change(token.price, before)
    return None if moved is None else round(float(moved), 4)


def _pool_data(pool: Pool, decimals: int | None) -> dict[str, Json]:
    return {
        "token_decimals": decimals,
        "quote": pool.quote,
        "quote_symbol": pool.quote_symbol,
        "quote_decimals": pool.quote_decimals,
        "token_reserve": str(pool.token_reserve),
        "quote_reserve": str(pool.quote_reserve),
        "price": shown(pool_price(pool, decimals)),
    }


def _dollars(wei: int, rates: Rates) -> float | None:
    return None if rates.dollar is None else float(product(whole(wei, NATIVE_DECIMALS), rates.dollar))


def _market_cap(token: Token) -> float | None:
    if token.supply is None or token.decimals is None or token.price_usd is None:
        return None
    return float(product(Decimal(whole(token.supply, token.decimals)), token.price_usd))
