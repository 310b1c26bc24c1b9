"""Blocks of a random market: bonding curves, pairs in the native coin, in dollars and in neither, a reference pool."""

from __future__ import annotations

from random import Random
from typing import Any

from chaincast.model.events import Event, Json, event_id
from tests.unit.listener.market.model import DOLLAR, NATIVE, REFERENCE, Block

TOKENS = ["0x" + f"{i:02x}" * 20 for i in range(1, 6)]
CREATOR, OTHER = "0x" + "c1" * 20, "0x" + "c2" * 20


class RandomMarket:
    """Makes blocks. `dice` decides; the same dice make the same blocks."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def block(self, number: int, after: int) -> Block:
        """A block behind the time `after` (s): mostly seconds later, at times hours or days."""
        dice = self._dice
        gap = dice.choice([0, 1, 12, 60, 61, 240, 3_600, 7_300, 40_000] + [86_400] * (dice.random() < 0.3))
        timestamp = after + gap
        hash_ = "0x" + f"{dice.getrandbits(256):064x}"
        events = [self._event(number, hash_, timestamp, i) for i in range(dice.choice([0, 1, 1, 2, 3, 6]))]
        return Block(number, hash_, timestamp, tuple(events))

    def _event(self, number: int, hash_: str, timestamp: int, index: int) -> Event:
        dice = self._dice
        if dice.random() < 0.15:
            return self._made(number, hash_, timestamp, index, "reserves", NATIVE, REFERENCE, self._reference())
        token = dice.choice(TOKENS)
        kind = dice.choices(
            ["token.created", "trade", "reserves", "liquidity.added", "liquidity.removed"], [1, 12, 3, 1, 2]
        )[0]
        curve = dice.random() < 0.5 and kind in ("token.created", "trade")
        data, market = (self._curve(token) if curve else self._pair(token)), "0x" + token[2:4] + "aa" * 19
        if not curve:
            market = str(data["market"])
        if kind == "token.created":
            data = {"creator": CREATOR, "supply": str(10**27), "name": "N", "symbol": "S"}
        elif kind == "trade":
            data |= {"side": dice.choice(["buy", "sell"]), "trader": dice.choice([CREATOR, OTHER, OTHER])}
        return self._made(number, hash_, timestamp, index, kind, token, market, data)

    def _curve(self, token: str) -> dict[str, Any]:
        native, tokens = self._amount(18), self._amount(24)
        return {
            "market": "0x" + token[2:4] + "aa" * 19,
            "name": "N",
            "symbol": "S",
            "native_amount": str(native),
            "token_amount": str(tokens),
            "native_reserve": str(self._amount(20) + 1),
            "token_reserve": str(self._amount(26) + 1),
            "price": "0.5",
        }

    def _pair(self, token: str) -> dict[str, Any]:
        quote, decimals = self._dice.choice([(NATIVE, 18), (DOLLAR, 6), ("0x" + "77" * 20, 9)])
        known = self._dice.random() < 0.95
        return {
            "market": "0x" + token[2:4] + quote[2:40],
            "name": "N",
            "symbol": "S",
            "quote": quote,
            "quote_symbol": "Q",
            "token_decimals": 18,
            "quote_decimals": decimals,
            "token_amount": str(self._amount(12)),
            "quote_amount": str(self._amount(decimals)),
            "token_reserve": str(self._amount(15) + 1) if known else None,
            "quote_reserve": str(self._amount(decimals + 2) + 1) if known else None,
            "price": "0.25",
        }

    def _reference(self) -> dict[str, Json]:
        return {
            "market": REFERENCE,
            "quote": DOLLAR,
            "quote_symbol": "USD",
            "quote_decimals": 6,
            "token_decimals": 18,
            "token_reserve": str(self._amount(21) + 1),
            "quote_reserve": str(self._amount(10) + 1),
        }

    def _amount(self, digits: int) -> int:
        return self._dice.randrange(10 ** self._dice.randint(max(digits - 4, 1), digits))

    def _made(
        self, number: int, hash_: str, timestamp: int, index: int, kind: str, token: str, market: str, data: Any
    ) -> Event:
        return Event(
            id=event_id("anvil", number, hash_, index),
            kind=kind,
            timestamp=timestamp * 1000,
            topics=(),
            data=data,
            block=number,
            tx_hash="0x0",
            log_index=index,
            contract=market,
            token=token,
        )
