"""The tokens of a pair: the traded token and its quote, and the properties of an ERC-20 token. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from listener.adapters.abi import Parameter
from listener.adapters.codec import Undecodable, budget_for, compile_type
from listener.market.prices import ratio, shown

MAX_NAME = 64
_STRING = compile_type(Parameter("", "string"))
_MAX_DECIMALS = 77
"""10 to this power fits 256 bits. A larger `decimals()` is treated as unknown."""


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token. `decimals` is None if the contract does not return a usable value."""

    address: str
    symbol: str
    name: str
    decimals: int | None

    @classmethod
    def answered(cls, address: str, symbol: bytes | None, name: bytes | None, decimals: bytes | None) -> Token:
        """Return the token with the results of `symbol()`, `name()` and `decimals()`. None is a failed call."""
        places = int.from_bytes(decimals, "big") if decimals is not None and len(decimals) >= 32 else None
        known = places if places is not None and places <= _MAX_DECIMALS else None
        return cls(address, _text(symbol), _text(name), known)

    @classmethod
    def of_facts(cls, address: str, facts: Mapping[str, str]) -> Token:
        decimals = facts["decimals"]
        return cls(address, facts["symbol"], facts["name"], int(decimals) if decimals else None)

    def facts(self) -> dict[str, str]:
        decimals = "" if self.decimals is None else str(self.decimals)
        return {"kind": "token", "symbol": self.symbol, "name": self.name, "decimals": decimals}


def _text(answer: bytes | None) -> str:
    """Return the text of a result, which is an ABI string or, from some old tokens, 32 bytes."""
    if answer is None:
        return ""
    if len(answer) == 32:
        raw = answer.rstrip(b"\0").decode("utf-8", "replace")
    else:
        try:
            raw = _STRING.read(answer, int.from_bytes(answer[:32], "big"), budget_for(answer))
        except Undecodable:
            return ""
    return raw[:MAX_NAME]


@dataclass(frozen=True, slots=True)
class Pair:
    """The tokens of a pair. One is the traded token; the other one, the quote, is the unit of its price."""

    token0: str
    token1: str
    flipped: bool
    """True if token1 is the traded token."""

    @classmethod
    def of(cls, token0: str, token1: str, wrapped_native: str, stable_tokens: Sequence[str]) -> Pair:
        """Return the pair. The quote is a stable token, else the wrapped native coin, else token1."""

        def rank(token: str) -> int:
            return 2 if token in stable_tokens else int(token == wrapped_native)

        return cls(token0, token1, rank(token0) > rank(token1))

    @property
    def token(self) -> str:
        return self.token1 if self.flipped else self.token0

    @property
    def quote(self) -> str:
        return self.token0 if self.flipped else self.token1

    def ordered(self, zero: int, one: int) -> tuple[int, int]:
        """Return the values of token0 and token1 as (value of the traded token, value of the quote)."""
        return (one, zero) if self.flipped else (zero, one)


def price_of(token_reserve: int, quote_reserve: int, token: Token | None, quote: Token | None) -> str | None:
    """Return the price of one whole token in whole quotes, or None if it is unknown."""
    if not token_reserve or token is None or quote is None or token.decimals is None or quote.decimals is None:
        return None
    return shown(ratio(token_reserve, quote_reserve, token.decimals, quote.decimals))
