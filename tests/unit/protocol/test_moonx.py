from __future__ import annotations

import json
from typing import Any, TypeAlias

import pytest

from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.model.events import Event, Json
from chaincast.protocol.commands import (
    Authenticate,
    Authenticated,
    Command,
    Connected,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
    Unsubscribed,
    UnsubscribeFamilies,
    User,
)
from chaincast.protocol.dialects import registry
from tests.factories import TOKEN
from tests.unit.protocol.sample_events import (
    ANNOUNCEMENT,
    BOOK,
    CHAINS,
    CREATED,
    ORDER,
    OWN_TRADE,
    PORTFOLIO,
    PRICE,
    PRICE_IN_DOLLARS,
    PUBLISHED_PRICE,
    PUBLISHED_TRADE,
    SWAP,
    TRADE,
    TRADER,
    published,
)

Message: TypeAlias = dict[str, Any]  # parsed JSON
MOONX = registry.get("moonx", CHAINS)


def decode(type_: str, data: object, id_: object = "msg_123") -> Command:
    message = {"id": id_, "type": type_, "timestamp": 1701234567890, "data": data}
    return MOONX.decode(json.dumps(message).encode(), 10_000, 5)


def encoded(event: Event, type_: str) -> Message:
    fragment = MOONX.event_fragment(event)
    assert fragment is not None
    message: Message = json.loads(MOONX.events_message("anvil", "0", "", [fragment]))
    assert message["type"] == type_
    assert message["id"] == f"{type_}_{event.id}"
    assert message["timestamp"] == event.timestamp
    data: Message = message["data"]
    return data


@pytest.mark.parametrize(
    ("channel", "topics", "own", "families"),
    [
        ("prices", ["price:*", "prices:*:*"], [], {"price", "prices"}),
        ("trades", ["trade:*", "trades:*:*"], ["user:#me"], {"trade", "trades", "user"}),
        ("orders", ["orders:#me"], [], {"orders"}),
        ("portfolio", ["portfolio:#me"], [], {"portfolio"}),
    ],
)
def test_channels_are_topics(channel: str, topics: list[str], own: list[str], families: set[str]) -> None:
    command = decode("subscribe", {"channel": channel})
    assert isinstance(command, Subscribe)
    assert [str(topic) for topic in command.topics] == topics
    assert [str(topic) for topic in command.own_topics] == own
    left = decode("unsubscribe", {"channel": channel})
    assert isinstance(left, UnsubscribeFamilies)
    assert left.families == families


def test_tokens_and_pings() -> None:
    request = ReplyContext("authenticate", ("auth_1", ""))
    assert decode("authenticate", {"token": "a.b.c"}, "auth_1") == Authenticate("a.b.c", request)
    assert decode("ping", {}, 7) == Ping(ReplyContext("ping", ("7", "")))
    assert MOONX.decode(b'{"type":"ping"}', 100, 5) == Ping(ReplyContext("ping", ("", "")))


@pytest.mark.parametrize(
    ("type_", "data", "code", "words"),
    [
        ("nonsense", {}, Code.UNKNOWN_TYPE, "known: authenticate"),
        ("subscribe", {}, Code.BAD_MESSAGE, "channel"),
        ("subscribe", {"channel": "gossip"}, Code.UNKNOWN_TOPIC, "known: prices, orders"),
        ("subscribe", {"channel": ["prices"]}, Code.BAD_MESSAGE, "channel"),
        ("subscribe", [], Code.BAD_MESSAGE, "data"),
        ("authenticate", {}, Code.BAD_MESSAGE, "token"),
        ("authenticate", {"token": ""}, Code.BAD_MESSAGE, "token"),
    ],
)
def test_invalid_messages_are_refused_with_an_explanation(type_: str, data: object, code: Code, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(type_, data)
    assert caught.value.code == code
    assert words in caught.value.message
    (answer,) = MOONX.outcome_messages(caught.value, 5)
    message = json.loads(answer)
    assert message["type"] == ("auth_failed" if type_ == "authenticate" else "error")
    assert message["data"] == {"error": caught.value.message, "code": code.value}


def test_a_published_price_has_the_documents_fields_as_strings() -> None:
    assert encoded(PUBLISHED_PRICE, "price_update") == {
        "token": "BTC-USDC",
        "chainId": None,
        "price": "45000.5",
        "priceUsd": "45000.5",
        "change24h": "2.5",
        "volume24h": "1234567.89",
        "timestamp": PUBLISHED_PRICE.timestamp,
    }
    full = published("price", "price:ETH", symbol="ETH", chainId=8453, price="2150.45", change="5.2", volume="1250000")
    assert encoded(full, "price_update") == {
        "token": "ETH",
        "chainId": 8453,
        "price": "2150.45",
        "priceUsd": "2150.45",
        "change24h": "5.2",
        "volume24h": "1250000",
        "timestamp": full.timestamp,
    }


def test_a_chains_price_has_the_same_fields() -> None:
    assert encoded(PRICE, "price_update") == {
        "token": "MEME",
        "address": TOKEN,
        "chainId": 31_337,
        "price": "0.00025",
        "priceUsd": None,
        "change24h": "15.5",
        "volume24h": "1250",
        "timestamp": PRICE.timestamp,
    }
    dollars = encoded(PRICE_IN_DOLLARS, "price_update")
    assert (dollars["priceUsd"], dollars["volume24h"]) == ("0.5", "1250000.0")


def test_trades() -> None:
    assert encoded(TRADE, "trade_update") == {
        "tradeId": TRADE.id,
        "userId": TRADER,
        "tokenIn": "native",
        "tokenOut": "MEME",
        "amountIn": "2.5",
        "amountOut": "10000",
        "txHash": TRADE.tx_hash,
        "chainId": 31_337,
    }
    swap = encoded(SWAP, "trade_update")
    assert [swap[n] for n in ("tokenIn", "amountIn", "tokenOut", "amountOut", "chainId")] == [
        "CAT",
        "12.5",
        "USDT",
        "3.75",
        97,
    ]
    bought = encoded(PUBLISHED_TRADE, "trade_update")
    assert [bought[n] for n in ("tokenIn", "amountIn", "tokenOut", "amountOut")] == ["USDC", "3750", "ETH", "1.5"]
    assert "userId" not in bought
    sold = encoded(OWN_TRADE, "trade_update")
    assert [sold[n] for n in ("userId", "tokenIn", "amountIn", "tokenOut")] == ["user_123", "ETH", "1.5", "USDC"]
    assert "personal" not in sold


def test_a_complete_published_trade_is_passed_on_unchanged() -> None:
    swap: dict[str, Json] = {
        "tokenIn": "ETH",
        "tokenOut": "USDC",
        "amountIn": "1.0",
        "amountOut": "2150.45",
        "txHash": "0x1",
        "chainId": 8453,
    }
    event = published("trade", "user:user_123", tradeId="trade_123", personal=True, **swap)
    assert encoded(event, "trade_update") == {"tradeId": "trade_123", "userId": "user_123", **swap}


def test_private_events_name_their_user() -> None:
    order = encoded(ORDER, "order_update")
    assert order == {**ORDER.data, "userId": "user_123"}
    portfolio = encoded(PORTFOLIO, "portfolio_update")
    assert portfolio == {**PORTFOLIO.data, "userId": "user_123"}
    assert encoded(ANNOUNCEMENT, "system_alert") == {"level": "info", "message": "PEPE is now available for trading"}


@pytest.mark.parametrize("event", [CREATED, BOOK])
def test_other_kinds_are_not_encoded(event: Event) -> None:
    assert MOONX.event_fragment(event) is None


def test_answers() -> None:
    def replies(outcome: object) -> Message:
        (message,) = MOONX.outcome_messages(outcome, 17)  # type: ignore[arg-type]  # every outcome in turn
        parsed: Message = json.loads(message)
        return parsed

    assert replies(Connected("L1", ())) == {
        "id": "auth_req_L1",
        "type": "auth_required",
        "timestamp": 17,
        "data": {"timeout": 10000},
    }
    user = {"user": {"id": "user_123", "email": "user@example.com"}}
    request = ReplyContext("authenticate", ("a1", ""))
    assert replies(Authenticated(User("user_123", "user@example.com"), request)) == {
        "id": "auth_success_a1",
        "type": "auth_success",
        "timestamp": 17,
        "data": user,
    }
    assert replies(Authenticated(None, request))["data"] == {"user": {"id": "anonymous", "email": ""}}
    confirmed = replies(Subscribed((), ReplyContext("subscribe", ("m1", "prices"))))
    assert (confirmed["id"], confirmed["type"], confirmed["data"]) == (
        "sub_confirmed_m1",
        "subscribed",
        {"channel": "prices"},
    )
    assert replies(Unsubscribed((), ReplyContext("unsubscribe", ("m1", "prices"))))["type"] == "unsubscribed"
    assert replies(Pong(18, ReplyContext("ping", ("", "")))) == {
        "id": "pong_18",
        "type": "pong",
        "timestamp": 18,
        "data": {},
    }
    assert json.loads(MOONX.ping_message(5) or b"")["type"] == "ping"
