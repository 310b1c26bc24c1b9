"""Uniswap V2: pairs found, identified and read; prices by hand."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from chaincast.config.network import Contract, Network
from chaincast.model.discovered_contracts import Discovery
from listener import adapters
from listener.adapters.uniswap_v2 import MAX_STRANGERS, UniswapV2
from listener.indexer import Indexed, Indexer
from listener.sources.base import RawLog
from tests.unit.listener.logs import FACTORY, TRADER, block, indexed, make_log

WETH, USDC, CAT, DOG = ("0x" + c * 20 for c in ("e0", "c0", "c1", "d0"))
PAIR, STABLE_PAIR, CAT_DOG, STRANGER = ("0x" + c * 20 for c in ("a1", "a2", "a3", "99"))
ROUTER = "0x" + "77" * 20
NETWORK = Network(chain_id=1, rpc_url=("ws://node",), wrapped_native=WETH, stable_tokens=(USDC,))
TOKENS = {WETH: ("WETH", 18), USDC: ("USDC", 6), CAT: ("CAT", 9), DOG: ("DOG", 18)}
PAIRS = {PAIR: (CAT, WETH), STABLE_PAIR: (USDC, WETH), CAT_DOG: (CAT, DOG)}


def text(value: str) -> bytes:
    return encode(["string"], [value])


def word(value: int) -> bytes:
    return encode(["uint256"], [value])


def call(signature: str, *arguments: str) -> bytes:
    return keccak(text=signature)[:4] + encode(["address"] * len(arguments), list(arguments))


def chain_answers() -> dict[tuple[str, bytes], bytes]:
    found = {}
    for token, (symbol, decimals) in TOKENS.items():
        found[token, call("symbol()")] = text(symbol)
        found[token, call("name()")] = text(f"{symbol} Coin")
        found[token, call("decimals()")] = word(decimals)
    for pair, (token0, token1) in PAIRS.items():
        found[pair, call("factory()")] = indexed("address", FACTORY)
        found[pair, call("token0()")] = indexed("address", token0)
        found[pair, call("token1()")] = indexed("address", token1)
        found[FACTORY, call("getPair(address,address)", token0, token1)] = indexed("address", pair)
    return found


class Market:
    """An indexer on a chain that answers."""

    def __init__(self, answers: Mapping[tuple[str, bytes], bytes] | None = None) -> None:
        adapter = adapters.make(Contract(adapter="uniswap_v2", address=(FACTORY,)), NETWORK)
        self.indexer = Indexer("ethereum", [adapter])
        self.answers = chain_answers() if answers is None else answers
        self.asked = 0

    def contract_reads(self, *logs: RawLog) -> list[Discovery]:
        inquiry = self.indexer.contract_reads([block(*logs)])
        try:
            calls = next(inquiry)
            while True:
                self.asked += len(calls)
                calls = inquiry.send([self.answers.get(question) for question in calls])
        except StopIteration as end:
            found: list[Discovery] = end.value
        self.indexer.add_contracts(found)
        return found

    def index(self, *logs: RawLog) -> Indexed:
        self.contract_reads(*logs)
        return self.indexer.index(block(*logs))


def pair_created(pair: str, *, log_index: int = 0, factory: str = FACTORY) -> RawLog:
    topics = [keccak(text="PairCreated(address,address,address,uint256)")]
    topics += [indexed("address", token) for token in PAIRS[pair]]
    return make_log(factory, topics, encode(["address", "uint256"], [pair, 1]), log_index)


def sync(reserve0: int, reserve1: int, *, pair: str = PAIR, log_index: int = 1) -> RawLog:
    data = encode(["uint112", "uint112"], [reserve0, reserve1])
    return make_log(pair, [keccak(text="Sync(uint112,uint112)")], data, log_index)


def swap(in0: int, in1: int, out0: int, out1: int, *, pair: str = PAIR, log_index: int = 2) -> RawLog:
    topic0 = keccak(text="Swap(address,uint256,uint256,uint256,uint256,address)")
    topics = [topic0, indexed("address", ROUTER), indexed("address", TRADER)]
    return make_log(pair, topics, encode(["uint256"] * 4, [in0, in1, out0, out1]), log_index)


def test_a_created_pair_is_found_with_its_tokens_and_its_creation_is_an_event() -> None:
    market = Market()
    found = market.contract_reads(pair_created(PAIR))
    assert {d.address: dict(d.facts) for d in found} == {
        CAT: {"kind": "token", "symbol": "CAT", "name": "CAT Coin", "decimals": "9"},
        WETH: {"kind": "token", "symbol": "WETH", "name": "WETH Coin", "decimals": "18"},
        PAIR: {"kind": "pair", "token0": CAT, "token1": WETH},
    }
    (event,) = market.indexer.index(block(pair_created(PAIR))).events
    assert (event.kind, event.data["event"]) == ("contract.event", "PairCreated")
    assert event.data["args"] == {"token0": CAT, "token1": WETH, "pair": PAIR}


def test_a_buy_has_side_amounts_reserves_and_the_price_after_it() -> None:
    logs = (pair_created(PAIR), sync(2_000 * 10**9, 3 * 10**18), swap(0, 10**18, 500 * 10**9, 0))
    reserves, trade = Market().index(*logs).events[1:]
    assert (reserves.kind, reserves.token, reserves.data["price"]) == ("reserves", CAT, "0.0015")
    assert trade.topics[0] == f"trades:ethereum:{CAT}"
    assert trade.data == {
        "market": PAIR,
        "name": "CAT Coin",
        "symbol": "CAT",
        "token_decimals": 9,
        "quote": WETH,
        "quote_symbol": "WETH",
        "quote_decimals": 18,
        "trader": TRADER,
        "sender": ROUTER,
        "side": "buy",
        "token_amount": str(500 * 10**9),
        "quote_amount": str(10**18),
        "token_reserve": str(2_000 * 10**9),
        "quote_reserve": str(3 * 10**18),
        "price": "0.0015",
    }


def test_a_sale_is_one_and_a_flash_swap_counts_what_is_left_of_it() -> None:
    sold = Market().index(pair_created(PAIR), sync(1, 1), swap(5, 0, 0, 3)).events[-1]
    assert (sold.data["side"], sold.data["token_amount"], sold.data["quote_amount"]) == ("sell", "5", "3")
    flash = Market().index(pair_created(PAIR), sync(1, 1), swap(10, 7, 4, 9)).events[-1]
    assert (flash.data["side"], flash.data["token_amount"], flash.data["quote_amount"]) == ("sell", "6", "2")


def test_a_stable_token_is_the_quote_even_of_the_native_coin() -> None:
    logs = (pair_created(STABLE_PAIR), sync(3_000_000 * 10**6, 1_000 * 10**18, pair=STABLE_PAIR))
    event = Market().index(*logs).events[-1]
    assert (event.token, event.data["quote"]) == (WETH, USDC)
    assert Decimal(str(event.data["price"])) == 3000


def test_between_two_others_the_second_is_the_quote() -> None:
    event = Market().index(pair_created(CAT_DOG), sync(10**9, 5 * 10**18, pair=CAT_DOG)).events[-1]
    assert (event.token, event.data["quote"], event.data["price"]) == (CAT, DOG, "5")


def test_an_older_pair_is_followed_as_soon_as_it_does_anything_and_asked_once() -> None:
    market = Market()
    events = market.index(sync(10**9, 10**18), swap(1, 0, 0, 1)).events
    assert [e.kind for e in events] == ["reserves", "trade"]
    asked = market.asked
    assert [e.kind for e in market.index(sync(10**9, 10**18)).events] == ["reserves"]
    assert market.asked == asked


@pytest.mark.parametrize("lie", ["another factory", "the factory knows another", "no contract"])
def test_who_is_no_pair_of_the_factory_is_nobody_and_is_asked_once(lie: str) -> None:
    answers = chain_answers()
    match lie:
        case "another factory":
            answers[PAIR, call("factory()")] = indexed("address", STRANGER)
        case "the factory knows another":
            answers[FACTORY, call("getPair(address,address)", CAT, WETH)] = indexed("address", STRANGER)
        case "no contract":
            answers = {}
    market = Market(answers)
    assert market.index(sync(1, 1), swap(1, 0, 0, 1)) == Indexed((), ())
    asked = market.asked
    market.index(sync(2, 2))
    assert market.asked == asked


def test_a_stranger_that_is_created_later_is_followed() -> None:
    market = Market({})
    assert market.index(sync(1, 1)).events == ()
    market.answers = chain_answers()
    assert [e.kind for e in market.index(pair_created(PAIR), sync(1, 1)).events] == ["contract.event", "reserves"]


def test_strangers_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("listener.adapters.uniswap_v2.MAX_STRANGERS", 3)
    assert MAX_STRANGERS > 3
    adapter = UniswapV2((FACTORY,), WETH, ())
    market = Market({})
    market.indexer = Indexer("ethereum", [adapter])
    for n in range(10):
        market.index(sync(1, 1, pair=f"0x{n:040x}"))
    assert len(adapter._strangers) == 3


@pytest.mark.parametrize(
    ("symbol", "decimals", "expected"),
    [
        (b"MKR".ljust(32, b"\0"), word(18), ("MKR", 18)),
        (text("\x00" * 3 + "X" * 500), word(18), ("\x00" * 3 + "X" * 61, 18)),
        (None, word(300), ("", None)),
        (b"", None, ("", None)),
        (b"\xff" * 64, b"\1", ("", None)),
    ],
)
def test_tokens_that_answer_oddly(
    symbol: bytes | None, decimals: bytes | None, expected: tuple[str, int | None]
) -> None:
    answers = chain_answers()
    for question, answer in ((call("symbol()"), symbol), (call("decimals()"), decimals)):
        if answer is None:
            del answers[CAT, question]
        else:
            answers[CAT, question] = answer
    event = Market(answers).index(pair_created(PAIR), sync(10**9, 10**18)).events[-1]
    assert (event.data["symbol"], event.data["token_decimals"]) == expected
    assert (event.data["price"] is None) == (expected[1] is None)


def test_liquidity_comes_and_goes() -> None:
    minted = [keccak(text="Mint(address,uint256,uint256)"), indexed("address", ROUTER)]
    mint = make_log(PAIR, minted, encode(["uint256"] * 2, [5, 7]), 3)
    burn = make_log(
        PAIR,
        [keccak(text="Burn(address,uint256,uint256,address)"), indexed("address", ROUTER), indexed("address", TRADER)],
        encode(["uint256"] * 2, [5, 7]),
        4,
    )
    added, removed = Market().index(pair_created(PAIR), mint, burn).events[1:]
    assert (added.kind, added.data["token_amount"], added.data["quote_amount"]) == ("liquidity.added", "5", "7")
    assert (removed.kind, removed.data["provider"], removed.data["price"]) == ("liquidity.removed", TRADER, None)


def test_damage_is_named_and_the_rest_is_read() -> None:
    broken = make_log(FACTORY, list(pair_created(PAIR).topics), b"\1", 7)
    indexed_ = Market().index(pair_created(PAIR), broken, make_log(PAIR, [swap(1, 1, 1, 1).topics[0]], b"", 8))
    assert [e.kind for e in indexed_.events] == ["contract.event"]
    assert len(indexed_.undecodable) == 2


def test_what_is_known_after_a_restart_needs_no_question() -> None:
    before, after = Market(), Market({})
    after.indexer.add_contracts(before.contract_reads(pair_created(PAIR)))
    assert after.index(sync(10**9, 10**18)).events[0].data["symbol"] == "CAT"
    assert after.asked == 0
