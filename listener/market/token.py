"""The state of a token: its pools, prices, trades and minutes, and how each event changes it.

Amounts are integers in the token's smallest unit; volumes and liquidity are in wei; prices have eighteen digits. An
amount whose value in the native coin is unknown (there is no reference pool) counts as zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Event, Json, Kind
from listener.adapters.base import RESERVES
from listener.market.prices import quotient, ratio
from listener.market.reference import NATIVE, Rates
from listener.market.series import Series

ALERT_TYPES = ("price", "volume", "whale", "rug")

MAX_POOLS = 16
"""Maximum number of pools of a token. If there are more, the least liquid one is dropped."""


class Pool(NamedTuple):
    """A market of a token with its newest reserves. `unit`: the unit of its quote (reference.py)."""

    address: str
    unit: str
    quote: str
    quote_symbol: str
    quote_decimals: int | None
    token_reserve: int
    quote_reserve: int


class Latest(NamedTuple):
    """The latest trade."""

    id: str
    timestamp: int
    side: str
    price: str | None


@dataclass(frozen=True, slots=True)
class Traded:
    """A trade, for alerts. `value`: in wei, or None if it is unknown."""

    trader: str
    side: str
    token_amount: int
    value: int | None
    creator_left: Decimal | None
    """For a sale by the token's creator: the share of their purchases that they still have."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A withdrawal of `share` (0 … 1) of a pool's liquidity, for alerts."""

    provider: str
    share: Decimal
    value: int | None


class Token:
    """The state of a token. Clone it before changing it: a reorganisation restores the state before."""

    __slots__ = (
        "alerted",
        "block",
        "bought",
        "created_at",
        "creator",
        "decimals",
        "latest",
        "name",
        "pools",
        "price",
        "price_usd",
        "sells",
        "series",
        "sold",
        "supply",
        "symbol",
        "trades",
    )

    def __init__(self, lengths: tuple[int, ...]) -> None:
        self.block = -1
        """The newest block that the state includes."""
        self.name = self.symbol = self.creator = ""
        self.decimals: int | None = None
        self.supply: int | None = None
        self.created_at: int | None = None
        self.pools: tuple[Pool, ...] = ()
        self.price: Decimal | None = None
        """Price in the native coin."""
        self.price_usd: Decimal | None = None
        self.latest: Latest | None = None
        self.trades = self.sells = 0
        self.bought = self.sold = 0
        """Amounts that the creator bought and sold, in the token's smallest unit."""
        self.alerted: tuple[int, ...] = (0,) * len(ALERT_TYPES)
        """Time (s) of the latest alert of each type, in the order of ALERT_TYPES."""
        self.series = Series(lengths)

    def clone(self) -> Token:
        """Return a copy."""
        other = Token.__new__(Token)
        for name in Token.__slots__:
            setattr(other, name, getattr(self, name))
        other.series = self.series.clone()
        return other

    def main_pool(self) -> Pool | None:
        """Return the pool that gives the price: the most liquid one, or the first of equal ones."""
        return self.pools[0] if self.pools else None

    def liquidity(self, rates: Rates) -> int | None:
        """Return the value of all pools' reserves, both sides, in wei; None if no pool's value is known."""
        found = [rates.native(pool.unit, pool.quote_reserve, pool.quote_decimals) for pool in self.pools]
        values = [value for value in found if value is not None]
        return 2 * sum(values) if values else None

    def apply(self, event: Event, rates: Rates, minute: int) -> Traded | Withdrawn | None:
        """Apply an event of this token. Return the trade or withdrawal for alerts; None for other events."""
        self.series.advance(minute)
        data = event.data
        self.name, self.symbol = str(data.get("name", self.name)), str(data.get("symbol", self.symbol))
        if event.kind == Kind.TOKEN_CREATED:
            self.creator, self.created_at = str(data["creator"]), event.timestamp
            self.supply, self.decimals = _integer(data.get("supply")), NATIVE_DECIMALS
            return None
        pool = self._pool_of(event, rates)
        if pool is not None:
            self._reprice(pool, rates)
        if event.kind == Kind.TRADE:
            return self._trade(event, rates)
        self.series.add(0, 0, self.price)
        if event.kind == Kind.LIQUIDITY_REMOVED:
            return self._withdrawal(data, rates, pool)
        return None

    def _trade(self, event: Event, rates: Rates) -> Traded:
        data = event.data
        side, trader = str(data["side"]), str(data.get("trader", ""))
        amount = _integer(data["token_amount"]) or 0
        value = rates.value(data)
        self.trades += 1
        self.sells += side == "sell"
        price = data.get("price")
        self.latest = Latest(event.id, event.timestamp, side, None if price is None else str(price))
        self.series.add(1, value or 0, self.price)
        left = None
        if trader and trader == self.creator:
            self.bought += amount if side == "buy" else 0
            self.sold += amount if side == "sell" else 0
            if side == "sell" and self.bought:
                left = quotient(Decimal(max(self.bought - self.sold, 0)), Decimal(self.bought))
        return Traded(trader, side, amount, value, left)

    def _withdrawal(self, data: Mapping[str, Json], rates: Rates, pool: Pool | None) -> Withdrawn | None:
        taken = _integer(data.get("quote_amount"))
        if pool is None or not taken:
            return None
        share = quotient(Decimal(taken), Decimal(taken + pool.quote_reserve))
        assert share is not None
        return Withdrawn(str(data.get("provider", "")), share, rates.native(pool.unit, taken, pool.quote_decimals))

    def _pool_of(self, event: Event, rates: Rates) -> Pool | None:
        """Return the pool after the event; None if the event does not contain reserves."""
        data = event.data
        if event.kind not in (Kind.TRADE, RESERVES, Kind.LIQUIDITY_ADDED, Kind.LIQUIDITY_REMOVED):
            return None
        of_token = _integer(data.get("token_reserve"))
        of_quote = _integer(data.get("quote_reserve", data.get("native_reserve")))
        if of_token is None or of_quote is None:
            return None
        if "native_reserve" in data:
            self.decimals = NATIVE_DECIMALS
            return Pool(str(data["market"]), NATIVE, "", "", NATIVE_DECIMALS, of_token, of_quote)
        self.decimals = _integer(data.get("token_decimals"))
        quote, decimals = str(data["quote"]), _integer(data.get("quote_decimals"))
        symbol = str(data["quote_symbol"])
        return Pool(str(data["market"]), rates.unit_of(quote), quote, symbol, decimals, of_token, of_quote)

    def _reprice(self, pool: Pool, rates: Rates) -> None:
        others = [other for other in self.pools if other.address != pool.address]
        if others:
            # The sort is stable: of pools with the same value, the older one stays first.
            ranked = sorted([*others, pool], key=lambda p: _worth(p, rates), reverse=True)
            self.pools = tuple(ranked[:MAX_POOLS])
        else:
            self.pools = (pool,)
        main = self.pools[0]
        price = pool_price(main, self.decimals)
        self.price, self.price_usd = rates.prices(main.unit, price)


def pool_price(pool: Pool, decimals: int | None) -> Decimal | None:
    """Return the price of a token in the pool's quote; None if it is unknown."""
    if decimals is None or pool.quote_decimals is None:
        return None
    return ratio(pool.token_reserve, pool.quote_reserve, decimals, pool.quote_decimals) or None


def _worth(pool: Pool, rates: Rates) -> tuple[int, int]:
    value = rates.native(pool.unit, pool.quote_reserve, pool.quote_decimals)
    return (1, value) if value is not None else (0, pool.quote_reserve)


def _integer(value: Json | Sequence[Json]) -> int | None:
    """Return the integer of an amount in an event, which is a decimal string or a number."""
    return int(value) if isinstance(value, (str, int)) else None
