"""Launchpads with bonding curves: a factory creates tokens, and a market for each token (contracts/Launchpad.sol)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chaincast.model.amounts import NATIVE_DECIMALS
from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Json, Kind
from listener.adapters.abi import MAX_TEXT, EventDecoder, Parameter, Undecodable, Values
from listener.adapters.base import ContractReads, Decoded
from listener.market.prices import ratio, shown
from listener.sources.base import Block, LogFilter, RawLog

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


class Launchpad:
    """The adapter of factories, the markets that they create, and contracts that those create in turn.

    A contract is followed if a followed contract logged its creation.
    """

    topics0 = (TOKEN_CREATED.topic0, TRADE.topic0, GRADUATED.topic0, LIQUIDITY_ADDED.topic0)

    def __init__(self, factories: Sequence[str]) -> None:
        self.name = f"launchpad {factories[0]}"
        self.wanted = LogFilter(topics0=self.topics0)
        self._creators = set(factories)
        self._markets: dict[str, Mapping[str, str]] = {}

    def contract_reads(self, blocks: Sequence[Block]) -> ContractReads:
        """Return the created contracts. The logs contain all that is needed, so that nothing is read."""
        found: dict[str, Discovery] = {}
        creators = set(self._creators)
        left = [(block.number, log) for block in blocks for log in block.logs if is_created(log)]
        while mine := [(number, log) for number, log in left if log.address in creators]:
            # Repeat until nothing new is found: a contract can create another before its own creation is logged.
            left = [(number, log) for number, log in left if log.address not in creators]
            for number, log in mine:
                try:
                    values = TOKEN_CREATED.decode(log)
                except Undecodable:
                    continue  # `decode` reports the error
                market = values["market"]
                if market in self._markets or market in found:
                    continue  # a later log cannot change the token of a market: any contract could emit it
                facts = {
                    "token": values["token"],
                    "name": values["name"][:MAX_TEXT],
                    "symbol": values["symbol"][:MAX_TEXT],
                }
                found[market] = Discovery(self.name, market, number, facts)
                creators |= {market, values["token"]}
        yield from ()
        return list(found.values())

    def add_contract(self, discovery: Discovery) -> None:
        self._markets[discovery.address] = discovery.facts
        self._creators |= {discovery.address, discovery.facts["token"]}

    def decode(self, log: RawLog) -> Decoded | None:
        topic0 = log.topics[0] if log.topics else b""
        if topic0 == TOKEN_CREATED.topic0:
            return _created(TOKEN_CREATED.decode(log)) if log.address in self._creators else None
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
    data["price"] = shown(ratio(values["token_amount"], values["native_amount"], NATIVE_DECIMALS, NATIVE_DECIMALS))
    return data


def _amounts(values: Values) -> dict[str, Json]:
    """Return values with integers as decimal strings, because JSON numbers are not exact, and with texts cut."""

    def shaped(value: object) -> Json:
        if isinstance(value, bool):
            return value
        return str(value) if isinstance(value, int) else str(value)[:MAX_TEXT]

    return {name: shaped(value) for name, value in values.items()}


def is_created(log: RawLog) -> bool:
    return bool(log.topics) and log.topics[0] == TOKEN_CREATED.topic0
