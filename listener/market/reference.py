"""Conversion of amounts and prices between quotes, the native coin and dollars, with the configured reference pools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Event, Json
from listener.adapters.base import RESERVES
from listener.market.prices import product, quotient, ratio


class Reference(NamedTuple):
    """The reserves of a reference pool: native coin in wei, and dollars in units of 10^-`decimals`."""

    native: int
    dollars: int
    decimals: int


NATIVE, DOLLAR, OTHER = "native", "dollar", "other"
"""Units of a pool's quote: the native coin, a stable token, or any other token."""


class Rates:
    """The rates of a network from the newest reserves of its reference pools. Immutable."""

    __slots__ = ("_best", "_pools", "_stable", "_wrapped", "dollar", "pools")

    def __init__(
        self,
        wrapped_native: str,
        stable_tokens: Sequence[str],
        reference_pools: Sequence[str],
        pools: Mapping[str, Reference] | None = None,
    ) -> None:
        self._wrapped = wrapped_native
        self._stable = frozenset(stable_tokens)
        self._pools = tuple(reference_pools)
        self.pools: Mapping[str, Reference] = pools or {}
        known = [self.pools[address] for address in reference_pools if address in self.pools]
        usable = [pool for pool in known if pool.native and pool.dollars]
        # The price of the pool with the largest reserves is the most expensive to manipulate.
        self._best = max(usable, key=lambda pool: pool.native, default=None)
        self.dollar: Decimal | None = None
        """Price of one native coin in dollars."""
        if self._best is not None:
            self.dollar = ratio(self._best.native, self._best.dollars, NATIVE_DECIMALS, self._best.decimals)

    def with_event(self, event: Event) -> Rates:
        """Return the rates after an event. They only change with the reserves of a reference pool."""
        if event.kind != RESERVES or event.contract not in self._pools:
            return self
        data = event.data
        decimals = data["quote_decimals"]
        if event.token != self._wrapped or data["quote"] not in self._stable or not isinstance(decimals, int):
            return self
        pool = Reference(int(str(data["token_reserve"])), int(str(data["quote_reserve"])), decimals)
        return Rates(self._wrapped, tuple(self._stable), self._pools, {**self.pools, event.contract: pool})

    def unit_of(self, quote: str) -> str:
        """Return the unit of a quote token."""
        return NATIVE if quote == self._wrapped else DOLLAR if quote in self._stable else OTHER

    def native(self, unit: str, amount: int, decimals: int | None) -> int | None:
        """Return an amount of a quote in wei, rounded down; None if the rate is unknown."""
        if unit == NATIVE:
            return amount
        best = self._best
        if unit != DOLLAR or best is None or decimals is None:
            return None
        return int(amount * 10**best.decimals * best.native // (10**decimals * best.dollars))

    def value(self, trade: Mapping[str, Json]) -> int | None:
        """Return the value of a trade in wei; None if it is unknown."""
        if "native_amount" in trade:
            return int(str(trade["native_amount"]))
        decimals = trade.get("quote_decimals")
        known = decimals if isinstance(decimals, int) else None
        return self.native(self.unit_of(str(trade["quote"])), int(str(trade["quote_amount"])), known)

    def prices(self, unit: str, price: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
        """Return a price in a quote as (price in the native coin, price in dollars)."""
        if price is None or unit == OTHER:
            return None, None
        if unit == NATIVE:
            return price, product(price, self.dollar) if self.dollar else None
        return quotient(price, self.dollar), price
