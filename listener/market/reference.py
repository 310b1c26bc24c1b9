"""What a dollar is in the native coin, as the configured reference pools say, and what amounts come to by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.events import Event, Json
from listener.adapters.base import RESERVES
from listener.market.prices import product, quotient, ratio


class Reference(NamedTuple):
    """A reference pool's reserves: of the native coin (wei), and of dollars in units of `decimals`."""

    native: int
    dollars: int
    decimals: int


NATIVE, DOLLAR, OTHER = "native", "dollar", "other"
"""What the quote of a pool is."""


class Rates:
    """The reference pools of one network, as their newest reserves have them. Immutable: `with_event` makes another."""

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
        # The deepest is the dearest to move.
        self._best = max(usable, key=lambda pool: pool.native, default=None)
        self.dollar: Decimal | None = None
        """What one native coin costs in dollars."""
        if self._best is not None:
            self.dollar = ratio(self._best.native, self._best.dollars, NATIVE_DECIMALS, self._best.decimals)

    def with_event(self, event: Event) -> Rates:
        """The rates after an event: others if it is of a reference pool."""
        if event.kind != RESERVES or event.contract not in self._pools:
            return self
        data = event.data
        decimals = data["quote_decimals"]
        if event.token != self._wrapped or data["quote"] not in self._stable or not isinstance(decimals, int):
            return self
        told = Reference(int(str(data["token_reserve"])), int(str(data["quote_reserve"])), decimals)
        return Rates(self._wrapped, tuple(self._stable), self._pools, {**self.pools, event.contract: told})

    def unit_of(self, quote: str) -> str:
        return NATIVE if quote == self._wrapped else DOLLAR if quote in self._stable else OTHER

    def native(self, unit: str, amount: int, decimals: int | None) -> int | None:
        """An amount of some quote in wei, rounded down. None where nobody knows."""
        if unit == NATIVE:
            return amount
        best = self._best
        if unit != DOLLAR or best is None or decimals is None:
            return None
        return int(amount * 10**best.decimals * best.native // (10**decimals * best.dollars))

    def value(self, trade: Mapping[str, Json]) -> int | None:
        """What a trade was worth, in wei."""
        if "native_amount" in trade:
            return int(str(trade["native_amount"]))
        decimals = trade.get("quote_decimals")
        known = decimals if isinstance(decimals, int) else None
        return self.native(self.unit_of(str(trade["quote"])), int(str(trade["quote_amount"])), known)

    def prices(self, unit: str, price: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
        """A price in some quote as one in the native coin and one in dollars."""
        if price is None or unit == OTHER:
            return None, None
        if unit == NATIVE:
            return price, product(price, self.dollar) if self.dollar else None
        return quotient(price, self.dollar), price
