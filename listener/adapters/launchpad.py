"""Launchpads with bonding curves: a factory creates tokens, each with a market of its own (contracts/Launchpad.sol)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal

from chaincast.events import Json, Kind
from listener.adapters.abi import EventDecoder, Parameter, Values
from listener.adapters.base import Decoded, Discovery
from listener.sources.base import RawLog

_P = Parameter
TOKEN_CREATED = EventDecoder(
    "TokenCreated",
    _P("token", "address", indexed=True),
    _P("market", "address", indexed=True),
    _P("creator", "address", indexed=True),
    _P("name", "string"),
    _P("symbol", "string"),
    _P("supply", "uint256"),
)
TRADE = EventDecoder(
    "Trade",
    _P("trader", "address", indexed=True),
    _P("is_buy", "bool", indexed=True),
    _P("native_amount", "uint256"),
    _P("token_amount", "uint256"),
    _P("native_reserve", "uint256"),
    _P("token_reserve", "uint256"),
)
GRADUATED = EventDecoder("Graduated", _P("final_supply", "uint256"), _P("total_raised", "uint256"))
LIQUIDITY_ADDED = EventDecoder(
    "LiquidityAdded",
    _P("pair", "address", indexed=True),
    _P("native_amount", "uint256"),
    _P("token_amount", "uint256"),
    _P("liquidity", "uint256"),
)

_PRICE_DIGITS = Context(prec=18)


class Launchpad:
    """Follows one factory and every market it ever created."""

    topics0 = (TOKEN_CREATED.topic0, TRADE.topic0, GRADUATED.topic0, LIQUIDITY_ADDED.topic0)

    def __init__(self, factory: str) -> None:
        self._factory = factory
        self._markets: dict[str, Mapping[str, str]] = {}

    def discover(self, log: RawLog) -> Discovery | None:
        if log.address != self._factory or log.topics[0] != TOKEN_CREATED.topic0:
            return None
        values = TOKEN_CREATED.decode(log)
        facts = {"token": values["token"], "name": values["name"], "symbol": values["symbol"]}
        return Discovery(values["market"], facts)

    def learn(self, discovery: Discovery) -> None:
        self._markets[discovery.address] = discovery.facts

    def decode(self, log: RawLog) -> Decoded | None:
        topic0 = log.topics[0]
        if log.address == self._factory:
            return _created(TOKEN_CREATED.decode(log)) if topic0 == TOKEN_CREATED.topic0 else None
        facts = self._markets.get(log.address)
        if facts is None:
            return None
        named: dict[str, Json] = {"market": log.address, "name": facts["name"], "symbol": facts["symbol"]}
        if topic0 == TRADE.topic0:
            return Decoded(Kind.TRADE, named | _trade(TRADE.decode(log)), facts["token"])
        if topic0 == GRADUATED.topic0:
            return Decoded(Kind.TOKEN_GRADUATED, named | _amounts(GRADUATED.decode(log)), facts["token"])
        if topic0 == LIQUIDITY_ADDED.topic0:
            return Decoded(Kind.LIQUIDITY_ADDED, named | _amounts(LIQUIDITY_ADDED.decode(log)), facts["token"])
        return None


def _created(values: Values) -> Decoded:
    data = _amounts(values)
    return Decoded(Kind.TOKEN_CREATED, data, values["token"])


def _trade(values: Values) -> dict[str, Json]:
    data = _amounts(values)
    data["side"] = "buy" if data.pop("is_buy") else "sell"
    native, token = values["native_amount"], values["token_amount"]
    data["price"] = f"{_PRICE_DIGITS.divide(Decimal(native), Decimal(token)):f}" if token else None
    return data


def _amounts(values: Values) -> dict[str, Json]:
    """Integers as decimal strings: wei and token units do not fit a JSON number exactly."""
    return {k: str(v) if isinstance(v, int) and not isinstance(v, bool) else v for k, v in values.items()}
