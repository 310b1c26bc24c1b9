"""Uniswap V2 and its forks (PancakeSwap, SushiSwap …): a factory, its pairs, their trades and liquidity.

Source: Uniswap V2 core, IUniswapV2Factory and IUniswapV2Pair. A pair emits Sync (its reserves) directly before each
Swap, Mint and Burn, in the same call.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Json, Kind
from listener.adapters.abi import EventDecoder, Parameter, Undecodable
from listener.adapters.base import RESERVES, Call, ContractReads, Decoded
from listener.adapters.pair_tokens import Pair, Token, price_of
from listener.sources.base import Block, LogFilter, RawLog

_P = Parameter
_SENDER = _P("sender", "address", indexed=True)
_TO = _P("to", "address", indexed=True)
_AMOUNTS = (_P("amount0", "uint256"), _P("amount1", "uint256"))
PAIR_CREATED = EventDecoder(
    "PairCreated",
    _P("token0", "address", indexed=True),
    _P("token1", "address", indexed=True),
    _P("pair", "address"),
    _P("count", "uint256"),
)
SWAP = EventDecoder(
    "Swap",
    _SENDER,
    *(_P(name, "uint256") for name in ("amount0_in", "amount1_in", "amount0_out", "amount1_out")),
    _TO,
)
SYNC = EventDecoder("Sync", _P("reserve0", "uint112"), _P("reserve1", "uint112"))
MINT = EventDecoder("Mint", _SENDER, *_AMOUNTS)
BURN = EventDecoder("Burn", _SENDER, *_AMOUNTS, _TO)
_OF_PAIRS = frozenset(d.topic0 for d in (SWAP, SYNC, MINT, BURN))

MAX_STRANGERS = 100_000
"""Maximum number of addresses that are remembered as not being pairs of these factories.

Many other contracts emit the same events.
"""

_FACTORY, _TOKEN0, _TOKEN1, _SYMBOL, _NAME, _DECIMALS = (
    keccak(text=f"{name}()")[:4] for name in ("factory", "token0", "token1", "symbol", "name", "decimals")
)
_GET_PAIR = keccak(text="getPair(address,address)")[:4]


class UniswapV2:
    """The adapter of factories and all their pairs. Older pairs are discovered when they emit an event."""

    def __init__(self, factories: Sequence[str], wrapped_native: str, stable_tokens: Sequence[str]) -> None:
        self.name = f"uniswap_v2 {factories[0]}"
        self.wanted = LogFilter(topics0=(PAIR_CREATED.topic0, *sorted(_OF_PAIRS)))
        self._factories = frozenset(factories)
        self._wrapped_native = wrapped_native
        self._stable_tokens = tuple(stable_tokens)
        self._pairs: dict[str, Pair] = {}
        self._tokens: dict[str, Token] = {}
        self._strangers: dict[str, None] = {}
        self._synced: tuple[str, str, int, int] = ("", "", 0, 0)
        """The latest Sync: the pair's address, the transaction's hash, reserve0, reserve1."""

    def contract_reads(self, blocks: Sequence[Block]) -> ContractReads:
        created: dict[str, tuple[int, str, str]] = {}
        unknown: dict[str, int] = {}
        for block in blocks:
            for log in block.logs:
                topic0 = log.topics[0] if log.topics else b""
                if topic0 == PAIR_CREATED.topic0 and log.address in self._factories:
                    try:
                        values = PAIR_CREATED.decode(log)
                    except Undecodable:
                        continue  # `decode` reports the error
                    created[values["pair"]] = (block.number, values["token0"], values["token1"])
                elif topic0 in _OF_PAIRS and log.address not in self._pairs and log.address not in self._strangers:
                    unknown.setdefault(log.address, block.number)
        asked = {address: number for address, number in unknown.items() if address not in created}
        created |= yield from self._identify(asked)
        tokens = [t for _, *both in created.values() for t in both]
        missing = dict.fromkeys(t for t in tokens if t not in self._tokens)
        described = yield from _describe(list(missing))
        number_of = {t: number for number, *both in created.values() for t in both}
        return [Discovery(self.name, t.address, number_of[t.address], t.facts()) for t in described] + [
            Discovery(self.name, pair, number, {"kind": "pair", "token0": token0, "token1": token1})
            for pair, (number, token0, token1) in created.items()
        ]

    def _identify(
        self, asked: dict[str, int]
    ) -> Generator[Sequence[Call], Sequence[bytes | None], dict[str, tuple[int, str, str]]]:
        """Yield calls that verify which contracts are pairs of these factories; return those.

        A contract is a pair if its `factory()` is one of these factories and that factory's `getPair` returns it.
        """
        if not asked:
            return {}
        answers = yield [(a, selector) for a in asked for selector in (_FACTORY, _TOKEN0, _TOKEN1)]
        claimed: dict[str, tuple[str, str, str]] = {}
        for place, address in enumerate(asked):
            factory, token0, token1 = (_address(answer) for answer in answers[3 * place : 3 * place + 3])
            if factory in self._factories and token0 and token1:
                claimed[address] = (factory, token0, token1)
        confirmed = (
            (yield [(f, _GET_PAIR + encode(["address", "address"], [t0, t1])) for f, t0, t1 in claimed.values()])
            if claimed
            else []
        )
        found = {
            address: (asked[address], token0, token1)
            for (address, (_, token0, token1)), answer in zip(claimed.items(), confirmed, strict=True)
            if _address(answer) == address
        }
        self._strangers |= dict.fromkeys(address for address in asked if address not in found)
        while len(self._strangers) > MAX_STRANGERS:
            del self._strangers[next(iter(self._strangers))]
        return found

    def add_contract(self, discovery: Discovery) -> None:
        facts = discovery.facts
        if facts["kind"] == "token":
            self._tokens[discovery.address] = Token.of_facts(discovery.address, facts)
        else:
            self._pairs[discovery.address] = Pair.of(
                facts["token0"], facts["token1"], self._wrapped_native, self._stable_tokens
            )

    def decode(self, log: RawLog) -> Decoded | None:
        topic0 = log.topics[0] if log.topics else b""
        if topic0 == PAIR_CREATED.topic0 and log.address in self._factories:
            values = PAIR_CREATED.decode(log)
            args = {name: values[name] for name in ("token0", "token1", "pair")}
            return Decoded(
                Kind.CONTRACT_EVENT, {"event": "PairCreated", "signature": PAIR_CREATED.signature, "args": args}
            )
        pair = self._pairs.get(log.address)
        if pair is None:
            return None
        if topic0 == SYNC.topic0:
            return self._sync(log, pair)
        if topic0 == SWAP.topic0:
            return self._trade(log, pair)
        if topic0 == MINT.topic0:
            return self._liquidity(log, pair, MINT, Kind.LIQUIDITY_ADDED)
        if topic0 == BURN.topic0:
            return self._liquidity(log, pair, BURN, Kind.LIQUIDITY_REMOVED)
        return None

    def _sync(self, log: RawLog, pair: Pair) -> Decoded:
        values = SYNC.decode(log)
        self._synced = (log.address, log.tx_hash, values["reserve0"], values["reserve1"])
        return Decoded(RESERVES, self._named(log, pair) | self._reserves(log, pair), pair.token)

    def _trade(self, log: RawLog, pair: Pair) -> Decoded:
        values = SWAP.decode(log)
        # Net amounts: a flash swap returns some of the tokens that it took.
        token, quote = pair.ordered(
            values["amount0_out"] - values["amount0_in"], values["amount1_out"] - values["amount1_in"]
        )
        traded: dict[str, Json] = {
            "trader": values["to"],
            "sender": values["sender"],
            "side": "buy" if token > 0 or (token == 0 and quote < 0) else "sell",
            "token_amount": str(abs(token)),
            "quote_amount": str(abs(quote)),
        }
        return Decoded(Kind.TRADE, self._named(log, pair) | traded | self._reserves(log, pair), pair.token)

    def _liquidity(self, log: RawLog, pair: Pair, event: EventDecoder, kind: str) -> Decoded:
        values = event.decode(log)
        token, quote = pair.ordered(values["amount0"], values["amount1"])
        moved: dict[str, Json] = {
            "sender": values["sender"],
            "provider": values.get("to", values["sender"]),
            "token_amount": str(token),
            "quote_amount": str(quote),
        }
        return Decoded(kind, self._named(log, pair) | moved | self._reserves(log, pair), pair.token)

    def _named(self, log: RawLog, pair: Pair) -> dict[str, Json]:
        token, quote = self._tokens.get(pair.token), self._tokens.get(pair.quote)
        return {
            "market": log.address,
            "name": token.name if token else "",
            "symbol": token.symbol if token else "",
            "token_decimals": token.decimals if token else None,
            "quote": pair.quote,
            "quote_symbol": quote.symbol if quote else "",
            "quote_decimals": quote.decimals if quote else None,
        }

    def _reserves(self, log: RawLog, pair: Pair) -> dict[str, Json]:
        """Return the reserves from the Sync of the same call, or unknown reserves if there was none."""
        address, tx_hash, reserve0, reserve1 = self._synced
        if (address, tx_hash) != (log.address, log.tx_hash):
            return {"token_reserve": None, "quote_reserve": None, "price": None}
        token, quote = pair.ordered(reserve0, reserve1)
        price = price_of(token, quote, self._tokens.get(pair.token), self._tokens.get(pair.quote))
        return {"token_reserve": str(token), "quote_reserve": str(quote), "price": price}


def _describe(
    tokens: Sequence[str],
) -> Generator[Sequence[Call], Sequence[bytes | None], list[Token]]:
    if not tokens:
        return []
    answers = yield [(token, selector) for token in tokens for selector in (_SYMBOL, _NAME, _DECIMALS)]
    return [
        Token.answered(token, *answers[3 * place : 3 * place + 3])  # symbol, name, decimals
        for place, token in enumerate(tokens)
    ]


def _address(answer: bytes | None) -> str:
    return "0x" + answer[12:32].hex() if answer is not None and len(answer) >= 32 else ""
