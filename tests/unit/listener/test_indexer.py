from __future__ import annotations

from dataclasses import replace

import pytest

from chaincast.config.network import Contract, Network
from chaincast.model.discovered_contracts import Discovery
from listener import adapters
from listener.indexer import Indexed, Indexer
from listener.sources.base import Block, RawLog
from tests.unit.listener.logs import (
    CREATOR,
    FACTORY,
    MARKET,
    TOKEN,
    TRADER,
    block,
    created,
    graduated,
    liquidity_added,
    trade,
)

NETWORK = Network(chain_id=1, rpc_url=("ws://node",))
ADAPTER = f"launchpad {FACTORY}"


def make_indexer() -> Indexer:
    contract = Contract(adapter="launchpad", address=(FACTORY.upper().replace("0X", "0x"),))
    return Indexer("anvil", [adapters.make(contract, NETWORK)])


def contract_reads(indexer: Indexer, *blocks: Block) -> list[Discovery]:
    """Return the discovered contracts in blocks for which nothing needs to be read."""
    with pytest.raises(StopIteration) as end:
        next(indexer.contract_reads(blocks))
    found: list[Discovery] = end.value.value
    return found


def index(*logs: RawLog) -> Indexed:
    indexer = make_indexer()
    indexer.add_contracts(contract_reads(indexer, block(*logs)))
    return indexer.index(block(*logs))


def test_a_created_token_is_an_event_and_its_market_a_discovery() -> None:
    indexed = index(created())
    (event,) = indexed.events
    assert (event.kind, event.token, event.contract, event.block) == ("token.created", TOKEN, FACTORY, 12)
    assert event.id == "anvil:12:12345678:0"
    assert event.timestamp == 1_700_000_000_000
    assert event.data == {
        "token": TOKEN,
        "market": MARKET,
        "creator": CREATOR,
        "name": "Moon Cat",
        "symbol": "MC",
        "supply": str(10**27),
    }
    assert contract_reads(make_indexer(), block(created())) == [
        Discovery(ADAPTER, MARKET, 12, {"token": TOKEN, "name": "Moon Cat", "symbol": "MC"})
    ]


def test_what_a_discovered_contract_creates_is_followed_too_however_deep_and_in_whatever_order() -> None:
    def made(by: str, market: str, log_index: int) -> RawLog:
        log = created(log_index=log_index, address=by)
        return replace(log, topics=(*log.topics[:2], bytes.fromhex(market[2:]).rjust(32, b"\0"), log.topics[3]))

    second, third = "0x" + "52" * 20, "0x" + "53" * 20
    logs = (
        made(second, third, 0),
        made(MARKET, second, 1),
        made(FACTORY, MARKET, 2),
        trade(address=third, log_index=3),
    )
    found = contract_reads(make_indexer(), block(*logs))
    assert [d.address for d in found] == [MARKET, second, third]
    assert [e.kind for e in index(*logs).events] == ["token.created"] * 3 + ["trade"]


def test_whose_market_it_is_is_said_once_and_not_to_be_taken_over() -> None:
    """A created contract may say what it likes of others, as often as it likes."""
    topics = created().topics
    again = replace(created(log_index=1, address=MARKET), topics=(topics[0], bytes(12) + b"\x66" * 20, *topics[2:]))
    indexer = make_indexer()
    found = contract_reads(indexer, block(created(), again, again))
    assert [(d.address, d.facts["token"]) for d in found] == [(MARKET, TOKEN)]
    indexer.add_contracts(found)
    assert contract_reads(indexer, block(again)) == []
    assert indexer.index(block(trade())).events[0].token == TOKEN


def test_a_market_trades_in_the_block_that_creates_it_even_before() -> None:
    indexed = index(trade(log_index=0), created(log_index=1))
    assert [e.kind for e in indexed.events] == ["trade", "token.created"]


@pytest.mark.parametrize(("is_buy", "side"), [(True, "buy"), (False, "sell")])
def test_a_trade_has_side_amounts_and_price(is_buy: bool, side: str) -> None:
    event = index(created(), trade(is_buy=is_buy)).events[1]
    assert event.token == TOKEN
    assert event.data == {
        "market": MARKET,
        "name": "Moon Cat",
        "symbol": "MC",
        "trader": TRADER,
        "side": side,
        "native_amount": str(10**18),
        "token_amount": str(3 * 10**24),
        "native_reserve": str(11 * 10**18),
        "token_reserve": str(9 * 10**26),
        "price": "0.000000333333333333333333",
    }


def test_a_price_is_exact_to_18_digits_and_absent_without_tokens() -> None:
    events = index(created(), trade(native=2**200, tokens=7, log_index=1), trade(tokens=0, log_index=2)).events
    assert events[1].data["price"] == "229562577751284325" + "0" * 42
    assert events[2].data["price"] is None


def test_graduation_and_liquidity() -> None:
    events = index(created(), graduated(), liquidity_added()).events[1:]
    assert [e.kind for e in events] == ["token.graduated", "liquidity.added"]
    assert events[0].data["total_raised"] == str(5 * 10**19)
    assert events[1].data["pair"] == TRADER
    assert {e.token for e in events} == {TOKEN}


def test_logs_of_contracts_that_are_not_followed_are_nothing() -> None:
    stranger = "0x" + "99" * 20
    indexed = index(trade(), created(address=stranger), replace(graduated(), address=stranger))
    assert indexed == Indexed((), ())


def test_markets_known_from_before_a_restart_are_followed() -> None:
    indexer = make_indexer()
    indexer.add_contracts([Discovery(ADAPTER, MARKET, 5, {"token": TOKEN, "name": "N", "symbol": "S"})])
    assert indexer.index(block(trade())).events[0].data["symbol"] == "S"


def test_a_hostile_name_harms_nobody() -> None:
    event = index(created(b"\xff\xfe\x00" * 10_000)).events[0]
    assert len(str(event.data["name"])) == 256


def test_damage_is_passed_over_and_named_and_the_rest_is_read() -> None:
    broken = replace(created(log_index=5), data=b"\x01")
    indexed = index(created(), broken, replace(trade(), data=b""), graduated())
    assert [e.kind for e in indexed.events] == ["token.created", "token.graduated"]
    assert len(indexed.undecodable) == 2
    assert "TokenCreated(" in indexed.undecodable[0]
    assert f"log 1 of {MARKET}" in indexed.undecodable[1]


def test_indexing_again_gives_the_same() -> None:
    logs = (created(), trade(), graduated(), liquidity_added())
    assert index(*logs) == index(*logs)


def test_the_node_is_asked_only_for_what_is_read() -> None:
    (wanted,) = make_indexer().wanted
    assert set(wanted.topics0) == {
        created().topics[0],
        trade().topics[0],
        graduated().topics[0],
        liquidity_added().topics[0],
    }
