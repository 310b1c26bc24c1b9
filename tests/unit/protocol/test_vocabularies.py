"""The verbs and events of kaspump, adstack and moonx-gateway."""

from __future__ import annotations

import json

import pytest

from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.model.events import Event, Json
from chaincast.model.topics import Topic
from chaincast.protocol.commands import (
    GetHistory,
    GetPrice,
    GetStats,
    History,
    Pong,
    Price,
    Stats,
    Subscribe,
    Subscribed,
    TokenSnapshot,
    Unsubscribe,
    Unsubscribed,
)
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.socketio.kaspump import to_client_network, to_network
from tests.factories import MARKET, TOKEN
from tests.unit.protocol.sample_events import (
    ANNOUNCEMENT,
    BOOK,
    CAMPAIGN,
    CHAINS,
    CONTRACT_ID,
    CREATED,
    GRADUATED,
    LIQUIDITY,
    ORDER,
    OWN_KIND,
    OWN_TRADE,
    PORTFOLIO,
    PRICE,
    PUBLISHED_PRICE,
    PUBLISHED_TRADE,
    SWAP,
    TRADE,
    TRADER,
)
from tests.unit.protocol.socketio_client import SOCKETIO, emit, encoded, replies


@pytest.mark.parametrize(
    ("name", "argument", "topics", "vocabulary", "about"),
    [
        ("subscribe:token", {"tokenAddress": "0xAB"}, ["token:*:0xab"], "kaspump", ("token:0xAB",)),
        (
            "subscribe:token",
            {"tokenAddress": "0xAB", "network": "bscTestnet"},
            ["token:bsc-testnet:0xab"],
            "kaspump",
            ("token:bscTestnet:0xAB",),
        ),
        ("subscribe:network", {"network": "base"}, ["network:base"], "kaspump", ("network:base",)),
        ("subscribe", {"contractId": "ST1.c"}, ["contract:*:st1.c"], "adstack", ("ST1.c",)),
        (
            "subscribe",
            {"types": ["price_updates", "trades", "system_alerts"]},
            ["price:*", "trade:*"],
            "moonx-gateway",
            ("price_updates", "trades", "system_alerts"),
        ),
        ("join_room", {"room": "price:BTC-USDC"}, ["price:BTC-USDC"], "moonx-gateway", ("price:BTC-USDC",)),
        ("join_room", {"room": "user:u1"}, ["user:u1"], "moonx-gateway", ("user:u1",)),
        ("join_room", {"room": "system"}, [], "moonx-gateway", ("system",)),
    ],
)
def test_verbs_are_subscriptions(
    name: str, argument: object, topics: list[str], vocabulary: str, about: tuple[str, ...]
) -> None:
    command = emit(name, argument, 4)
    assert isinstance(command, Subscribe)
    assert [str(t) for t in command.topics] == topics
    assert command.vocabulary == vocabulary
    assert command.request_id == ReplyContext(f"{vocabulary}/{name}", about, 4)


def test_event_types_are_kinds_and_contracts_events() -> None:
    command = emit("subscribe", {"contractId": "ST1.c", "eventTypes": ["campaign_created", "trade"]})
    assert isinstance(command, Subscribe)
    assert command.kinds == ("campaign_created", "contract.event:campaign_created", "trade", "contract.event:trade")


def test_verbs_are_queries() -> None:
    assert emit("get:price", {"tokenAddress": "0xA", "network": "bscTestnet"}, 1) == GetPrice(
        "bsc-testnet", "0xa", ReplyContext("kaspump/get:price", ("0xA", "bscTestnet"), 1)
    )
    assert emit("get:trades", {"tokenAddress": "0xA", "network": "bsc", "limit": 7}) == GetHistory(
        "trades", Topic.parse("trades:bsc:0xa"), 7, request_id=ReplyContext("kaspump/get:trades")
    )
    assert emit("getHistory", {"contractId": "S.c"}) == GetHistory(
        "history", Topic.parse("contract:*:s.c"), 50, request_id=ReplyContext("adstack/getHistory", ("S.c",))
    )
    assert emit("getStats", {"contractId": "S.c"}, 2) == GetStats(
        Topic.parse("contract:*:s.c"), ReplyContext("adstack/getStats", ("S.c",), 2)
    )
    for name, argument, gone in (
        ("unsubscribe:token", {"tokenAddress": "0xA"}, "token:*:0xa"),
        ("unsubscribe:network", {"network": "bscTestnet"}, "network:bsc-testnet"),
        ("unsubscribe", {"contractId": "S.c"}, "contract:*:s.c"),
        ("leave_room", {"room": "price:A"}, "price:A"),
    ):
        command = emit(name, argument)
        assert isinstance(command, Unsubscribe)
        assert command.topics == (Topic.parse(gone),)


def test_kaspump_replies() -> None:
    request = ReplyContext("kaspump/subscribe:token", ("token:bsc:0xA",))
    now = {"token:bsc:0xa": TokenSnapshot(PRICE, TRADE)}
    ((name, data),) = replies(Subscribed((), request, now))
    assert name == "subscription:confirmed"
    assert (data["room"], data["currentPrice"]) == ("token:bsc:0xA", "0.00025")
    assert data["latestTrade"]["type"] == "buy"
    assert replies(Subscribed((), ReplyContext(request.verb, request.about, 3))) == [
        ["subscription:confirmed", {"room": "token:bsc:0xA"}],
        [3, {"success": True, "data": {"room": "token:bsc:0xA"}}],
    ]
    assert replies(Unsubscribed((), ReplyContext("kaspump/unsubscribe:token", ("token:0xA",)))) == [
        ["subscription:removed", {"room": "token:0xA"}]
    ]
    request = ReplyContext("kaspump/get:price", ("0xA", "bsc"), 1)
    ((ack, answer),) = replies(Price("bsc", "0xa", PRICE, request))
    assert (ack, answer["success"], answer["data"]["price"]) == (1, True, "0.00025")
    ((_, nothing),) = replies(Price("bsc", "0xa", None, request))
    assert nothing["data"] == {"network": "bsc", "tokenAddress": "0xA", "price": None}
    ((_, trades),) = replies(History("trades", (TRADE, TRADE), None, ReplyContext("kaspump/get:trades", (), 2)))
    assert [trade["tokenAmount"] for trade in trades["data"]] == ["10000", "10000"]
    ((name, pong),) = replies(Pong(9, ReplyContext("kaspump/ping")))
    assert (name, pong) == ("pong", {"timestamp": 9})


def test_adstack_replies() -> None:
    assert replies(Subscribed((), ReplyContext("adstack/subscribe", ("S.c", "campaign_created")))) == [
        ["subscribed", {"contractId": "S.c", "eventTypes": ["campaign_created"]}]
    ]
    assert replies(Unsubscribed((), ReplyContext("adstack/unsubscribe", ("S.c",)))) == [
        ["unsubscribed", {"contractId": "S.c"}]
    ]
    ((name, data),) = replies(History("history", (CAMPAIGN,), None, ReplyContext("adstack/getHistory", ("S.c",))))
    assert (name, data["contractId"], data["events"][0]["type"]) == ("history", "S.c", "campaign_created")
    figures: dict[str, Json] = {
        "events": 3,
        "by_type": {"a": 3},
        "events_24h": 1,
        "by_type_24h": {"a": 1},
        "first": 1,
        "last": 2,
    }
    ((name, data),) = replies(
        Stats(Topic.parse("contract:*:s.c"), {**figures, "complete": True}, ReplyContext("adstack/getStats", ("S.c",)))
    )
    assert name == "stats"
    assert data == {
        "contractId": "S.c",
        "totalEvents": 3,
        "eventCounts": {"a": 3},
        "events24h": 1,
        "eventCounts24h": {"a": 1},
        "firstEvent": 1,
        "lastEvent": 2,
        "complete": True,
    }
    full = RequestError(Code.MAX_SUBSCRIPTIONS, "Subscription limit exceeded", ReplyContext("adstack/subscribe"))
    assert replies(full) == [["error", {"message": "Subscription limit exceeded", "code": "MAX_SUBSCRIPTIONS"}]]


def test_moonx_gateway_replies() -> None:
    assert replies(Subscribed((), ReplyContext("moonx-gateway/join_room", ("price:A",)))) == [
        ["room_joined", {"room": "price:A"}]
    ]
    assert replies(Unsubscribed((), ReplyContext("moonx-gateway/leave_room", ("price:A",)))) == [
        ["room_left", {"room": "price:A"}]
    ]
    assert replies(Subscribed((), ReplyContext("moonx-gateway/subscribe", ("trades",), 1))) == [
        ["subscribed", {"types": ["trades"]}],
        [1, {"success": True, "data": {"types": ["trades"]}}],
    ]
    pong = Pong(9, ReplyContext("moonx-gateway/ping", (), 4))
    assert replies(pong) == [[4, {"success": True, "data": {"timestamp": 9}}]]


def test_kaspump_events() -> None:
    name, created = encoded(CREATED, "kaspump")
    assert name == "token:created"
    assert {n: created[n] for n in ("network", "tokenAddress", "name", "symbol", "creator", "totalSupply")} == {
        "network": "anvil",
        "tokenAddress": TOKEN,
        "name": "Meme Token",
        "symbol": "MEME",
        "creator": TRADER,
        "totalSupply": "1000000000",
    }
    name, trade = encoded(TRADE, "kaspump")
    assert name == "trade:new"
    assert trade == {
        "network": "anvil",
        "tokenAddress": TOKEN,
        "symbol": "MEME",
        "type": "buy",
        "price": "0.00025",
        "amount": "10000",
        "tokenAmount": "10000",
        "nativeAmount": "2.5",
        "trader": TRADER,
        "timestamp": TRADE.timestamp,
        "blockNumber": 7,
        "txHash": TRADE.tx_hash,
        "id": TRADE.id,
    }
    assert encoded(SWAP, "kaspump")[1]["network"] == "bscTestnet"
    name, graduated = encoded(GRADUATED, "kaspump")
    assert (name, graduated["finalSupply"], graduated["totalRaised"]) == ("token:graduated", "800000000", "69")
    name, added = encoded(LIQUIDITY, "kaspump")
    assert (name, added["dexPair"], added["liquidity"]) == ("liquidity:added", "0x" + "ff" * 20, "117")


def test_adstack_events() -> None:
    assert encoded(CAMPAIGN, "adstack") == (
        "event",
        {
            "id": CAMPAIGN.id,
            "type": "campaign_created",
            "contractId": CONTRACT_ID,
            "txId": CAMPAIGN.tx_hash,
            "blockHeight": 7,
            "timestamp": CAMPAIGN.timestamp,
            "data": {"campaign-id": 7, "budget": "1000000"},
        },
    )
    name, trade = encoded(TRADE, "adstack")
    assert (name, trade["type"], trade["contractId"], trade["data"]["side"]) == ("event", "trade", MARKET, "buy")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (PUBLISHED_PRICE, "price_update"),
        (BOOK, "order_book_update"),
        (PUBLISHED_TRADE, "trade_notification"),
        (OWN_TRADE, "trade_notification"),
        (PORTFOLIO, "portfolio_update"),
        (ORDER, "order_update"),
        (OWN_KIND, "candle"),
    ],
)
def test_moonx_gateway_events_are_the_published_data_with_a_timestamp(event: Event, name: str) -> None:
    assert encoded(event, "moonx-gateway") == (name, {"id": event.id, **event.data, "timestamp": event.timestamp})


def test_an_announcement_is_sent_once_for_all_vocabularies() -> None:
    frame = SOCKETIO.event_fragment(ANNOUNCEMENT)
    assert frame is not None
    announcement = {"id": ANNOUNCEMENT.id, **ANNOUNCEMENT.data, "timestamp": ANNOUNCEMENT.timestamp}
    assert json.loads(frame[2:]) == ["system_alert", announcement]
    assert all(
        registry.get(f"socketio/{vocabulary}", CHAINS).event_fragment(ANNOUNCEMENT) is None
        for vocabulary in ("kaspump", "adstack", "moonx-gateway")
    )
    assert SOCKETIO.event_fragment(TRADE) is None


@pytest.mark.parametrize(
    ("event", "vocabulary"),
    [
        (PRICE, "kaspump"),
        (CAMPAIGN, "kaspump"),
        (PUBLISHED_TRADE, "kaspump"),
        (BOOK, "adstack"),
        (TRADE, "moonx-gateway"),
    ],
)
def test_kinds_without_an_event_in_the_vocabulary_are_not_encoded(event: Event, vocabulary: str) -> None:
    assert registry.get(f"socketio/{vocabulary}", CHAINS).event_fragment(event) is None


@pytest.mark.parametrize(
    ("camel", "kebab"), [("bscTestnet", "bsc-testnet"), ("base", "base"), ("arbitrumSepolia", "arbitrum-sepolia")]
)
def test_network_names_are_translated_in_both_directions(camel: str, kebab: str) -> None:
    assert (to_network(camel), to_client_network(kebab), to_network(kebab)) == (kebab, camel, kebab)
