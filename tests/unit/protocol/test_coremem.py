from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest

from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.model.events import Event
from chaincast.protocol.commands import (
    Command,
    Connected,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
    TokenSnapshot,
    Unsubscribe,
    Unsubscribed,
    UnsubscribeFamilies,
)
from chaincast.protocol.dialects import registry
from tests.factories import MARKET, TOKEN
from tests.unit.protocol.sample_events import (
    ANNOUNCEMENT,
    BOOK,
    CHAINS,
    CREATED,
    MOVED,
    PRICE,
    PRICE_IN_DOLLARS,
    PUBLISHED_PRICE,
    PUBLISHED_TRADE,
    SWAP,
    TRADE,
    TRADER,
    WHALE,
)

Message: TypeAlias = dict[str, Any]  # parsed JSON
COREMEM = registry.get("coremem", CHAINS)


def decode(message: object) -> Command:
    return COREMEM.decode(json.dumps(message).encode(), 10_000, 5)


def encoded(event: Event) -> Message:
    fragment = COREMEM.event_fragment(event)
    assert fragment is not None
    message: Message = json.loads(COREMEM.events_message("anvil", "0", COREMEM.channel(event), [fragment, fragment]))
    assert (message["type"], len(message["data"][message["channel"]])) == ("data", 2)
    return {"channel": message["channel"], **message["data"][message["channel"]][1]}


@pytest.mark.parametrize(
    ("channel", "params", "topics"),
    [
        ("prices", {"tokens": ["0xAB", "0xcd", "0xAB"]}, ["prices:*:0xab", "prices:*:0xcd"]),
        ("prices", {}, ["prices:*:*"]),
        ("trades", {"tokens": ["0x12", "*"]}, ["trades:*:0x12", "trades:*:*"]),
        ("tokens", {"includeRecent": False}, ["tokens:*"]),
        (
            "alerts",
            {"types": ["price", "whale", "rug", "*"]},
            ["alerts:price", "alerts:whale", "alerts:rug", "alerts:*"],
        ),
        ("alerts", {"types": []}, ["alerts:*"]),
    ],
)
def test_channels_are_topics(channel: str, params: object, topics: list[str]) -> None:
    command = decode({"type": "subscribe", "channel": channel, "params": params})
    assert isinstance(command, Subscribe)
    assert [str(topic) for topic in command.topics] == topics
    assert command.recent_events == 0
    if params and channel != "tokens":
        gone = decode({"type": "unsubscribe", "channel": channel, "params": params})
        assert isinstance(gone, Unsubscribe) or channel == "alerts"


def test_recent_tokens_are_requested() -> None:
    command = decode({"type": "subscribe", "channel": "tokens", "params": {"includeRecent": True}})
    assert isinstance(command, Subscribe)
    assert command.recent_events == 20


def test_unsubscribing_without_names_removes_the_whole_channel() -> None:
    request = ReplyContext("unsubscribe", ("prices",))
    assert decode({"type": "unsubscribe", "channel": "prices"}) == UnsubscribeFamilies(frozenset({"prices"}), request)
    assert decode({"type": "ping"}) == Ping()


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ({"type": "subscribe"}, Code.BAD_MESSAGE, "channel"),
        ({"type": "nonsense"}, Code.UNKNOWN_TYPE, "known: subscribe"),
        ({}, Code.UNKNOWN_TYPE, "None"),
        ({"type": ["subscribe"]}, Code.UNKNOWN_TYPE, "subscribe"),
        ({"type": "subscribe", "channel": "price"}, Code.UNKNOWN_TOPIC, "known: prices, tokens, trades, alerts"),
        ({"type": "subscribe", "channel": "prices", "params": {"tokens": "0x1"}}, Code.BAD_MESSAGE, "params.tokens"),
        ({"type": "subscribe", "channel": "prices", "params": {"tokens": ["a:b"]}}, Code.BAD_TOPIC, "a:b"),
        (
            {"type": "subscribe", "channel": "prices", "params": {"tokens": [*"abcdef"]}},
            Code.TOO_MANY_TOPICS,
            "at most 5",
        ),
        ({"type": "subscribe", "channel": "tokens", "params": {"includeRecent": 1}}, Code.BAD_MESSAGE, "includeRecent"),
    ],
)
def test_invalid_messages_are_refused_with_an_explanation(message: object, code: Code, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(message)
    assert caught.value.code == code
    assert words in caught.value.message
    (answer,) = COREMEM.outcome_messages(caught.value, 0)
    assert json.loads(answer) == {"type": "error", "message": caught.value.message, "code": code.value}


def test_a_price_has_the_documents_fields_as_numbers() -> None:
    assert encoded(PRICE) == {
        "channel": "prices",
        "id": PRICE.id,
        "tokenAddress": TOKEN,
        "tokenSymbol": "MEME",
        "price": 0.00025,
        "priceChange24h": 15.5,
        "volume24h": 1250.0,
        "liquidity": 500.0,
        "timestamp": PRICE.timestamp,
    }
    dollars = encoded(PRICE_IN_DOLLARS)
    assert (dollars["price"], dollars["volume24h"], dollars["liquidity"]) == (0.5, 1250000.0, 500000.0)


def test_a_token_has_the_documents_fields() -> None:
    assert encoded(CREATED) == {
        "channel": "tokens",
        "id": CREATED.id,
        "address": TOKEN,
        "name": "Meme Token",
        "symbol": "MEME",
        "totalSupply": "1000000000",
        "creator": TRADER,
        "pairAddress": MARKET,
        "initialLiquidity": "0",
        "timestamp": CREATED.timestamp,
        "blockNumber": 7,
        "txHash": CREATED.tx_hash,
    }


def test_a_trade_has_the_documents_fields() -> None:
    assert encoded(TRADE) == {
        "channel": "trades",
        "id": TRADE.id,
        "txHash": TRADE.tx_hash,
        "tokenAddress": TOKEN,
        "tokenSymbol": "MEME",
        "trader": TRADER,
        "type": "buy",
        "amountToken": "10000",
        "amountCore": "2.5",
        "price": 0.00025,
        "timestamp": TRADE.timestamp,
        "blockNumber": 7,
        "dex": "launchpad",
    }
    swap = encoded(SWAP)
    assert (swap["amountToken"], swap["amountCore"], swap["dex"]) == ("12.5", "3.75", "uniswap_v2")


def test_alerts_have_the_documents_fields() -> None:
    whale = encoded(WHALE)
    assert whale.pop("data") == {
        "walletAddress": TRADER,
        "action": "buy",
        "amount": 10000.0,
        "value": 2.5,
        "side": "buy",
        "trader": TRADER,
        "value_usd": None,
        "token_amount": "10000" + "0" * 18,
        "token_decimals": 18,
        "liquidity_percent": 12.5,
    }
    assert whale == {
        "channel": "alerts",
        "id": WHALE.id,
        "type": "whale",
        "tokenAddress": TOKEN,
        "tokenSymbol": "MEME",
        "title": "Whale Alert: MEME",
        "message": "Whale buy: 2.5 native of MEME",
        "severity": "warning",
        "timestamp": WHALE.timestamp,
    }
    assert encoded(MOVED)["data"] == {"percent": 25.0, "minutes": 5, "price_native": "0.0003"}
    assert encoded(ANNOUNCEMENT)["message"] == "PEPE is now available for trading"


@pytest.mark.parametrize("event", [PUBLISHED_PRICE, PUBLISHED_TRADE, BOOK])
def test_published_events_are_not_encoded_as_on_chain_events(event: Event) -> None:
    assert COREMEM.event_fragment(event) is None


def test_answers() -> None:
    def replies(outcome: object) -> list[Message]:
        return [json.loads(m) for m in COREMEM.outcome_messages(outcome, 17)]  # type: ignore[arg-type]  # every outcome in turn

    assert replies(Connected("L1", ("anvil",))) == [{"type": "connected", "clientId": "L1", "timestamp": 17}]
    assert replies(Pong(18)) == [{"type": "pong", "timestamp": 18}]
    request = ReplyContext("subscribe", ("tokens",))
    assert replies(Unsubscribed((), request)) == [{"type": "unsubscribed", "channel": "tokens"}]
    confirmed, recent = replies(Subscribed((), request, recent_events=(CREATED, CREATED)))
    assert confirmed == {"type": "subscribed", "channel": "tokens"}
    assert len(recent["data"]["tokens"]) == 2
    now = {"prices:*:a": TokenSnapshot(PRICE, None), "prices:*:b": TokenSnapshot(None, None)}
    _, prices = replies(Subscribed((), ReplyContext("subscribe", ("prices",)), now))
    assert [p["price"] for p in prices["data"]["prices"]] == [0.00025]
    assert json.loads(COREMEM.ping_message(5) or b"") == {"type": "ping", "timestamp": 5}


def test_overhead_is_an_upper_bound() -> None:
    fragments = [b"1" * 100] * 7
    for event in (PRICE, CREATED, TRADE, WHALE, ANNOUNCEMENT):
        message = COREMEM.events_message("n" * 40, "9" * 12, COREMEM.channel(event), fragments)
        assert len(message) <= COREMEM.overhead + sum(len(f) + COREMEM.separator for f in fragments)
