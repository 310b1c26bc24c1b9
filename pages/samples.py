"""Samples of messages in all dialects, encoded by the codecs that serve clients."""

from __future__ import annotations

import json
from typing import Any

from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.model.events import Event
from chaincast.model.topics import Topic, chain_topics
from chaincast.protocol.commands import (
    Authenticated,
    AuthenticationExpired,
    Connected,
    Outcome,
    Pong,
    Subscribed,
    Unsubscribed,
    User,
)
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Dialect

NETWORK = "bsc"
CHAINS = {NETWORK: 56}
NOW = 1_700_000_000_000
TOKEN, MARKET, TRADER = ("0x" + digits * 20 for digits in ("a1", "b2", "c3"))
CURSOR = "000000000042"


def _event(kind: str, log_index: int, **data: Any) -> Event:
    return Event(
        id=f"{NETWORK}:31415926:1234abcd:{log_index}",
        kind=kind,
        timestamp=NOW,
        topics=chain_topics(kind, NETWORK, MARKET, TOKEN),
        data={"market": MARKET, "name": "Moon Cat", "symbol": "CAT", **data},
        block=31_415_926,
        tx_hash="0x" + "d4" * 32,
        log_index=log_index,
        contract=MARKET,
        token=TOKEN,
    )


CREATED = _event("token.created", 3, token=TOKEN, creator=TRADER, supply="1000000000" + "0" * 18)
TRADE = _event(
    "trade",
    7,
    trader=TRADER,
    side="buy",
    native_amount="2500000000000000000",
    token_amount="10000" + "0" * 18,
    native_reserve="5" + "0" * 18,
    token_reserve="9" + "0" * 20,
    price="0.00025",
)
PRICE = _event(
    "price",
    8,
    token_decimals=18,
    price="0.00025",
    price_native="0.00025",
    price_usd="0.15",
    change_24h=15.5,
    volume_24h="1250" + "0" * 18,
    volume_24h_usd=750_000.0,
    trades_24h=3,
    liquidity="500" + "0" * 18,
    liquidity_usd=300_000.0,
)
EVENTS = (CREATED, TRADE, PRICE)

USER = User("ann", "ann@example.com")
_REQUEST_IDS: dict[str, dict[str, Any]] = {
    "chaincast.v1": dict.fromkeys(("subscribe", "unsubscribe", "ping", "authenticate", "error"), 1),
    "coremem": {
        "subscribe": ReplyContext("subscribe", ("trades",)),
        "unsubscribe": ReplyContext("unsubscribe", ("trades",)),
        "ping": None,
        "authenticate": None,
        "error": None,
    },
    "moonx": {
        "subscribe": ReplyContext("subscribe", ("m1", "prices")),
        "unsubscribe": ReplyContext("unsubscribe", ("m1", "prices")),
        "ping": ReplyContext("ping", ("m1", "")),
        "authenticate": ReplyContext("authenticate", ("m1", "")),
        "error": ReplyContext("subscribe", ("m1", "")),
    },
    "socketio": {
        "subscribe": ReplyContext("kaspump/subscribe:token", (f"token:{NETWORK}:{TOKEN}",), 1),
        "unsubscribe": ReplyContext("kaspump/unsubscribe:token", (f"token:{NETWORK}:{TOKEN}",), 1),
        "ping": ReplyContext("moonx-gateway/ping", (), 1),
        "authenticate": ReplyContext("authenticate", (), 1),
        "error": ReplyContext("kaspump/subscribe:token", (), 1),
    },
}
"""Dialect → outcome → request id of the message that the outcome answers."""


def server_samples(dialect: str) -> list[tuple[str, str]]:
    """Return the name and text of sample messages to clients of a dialect, in the order of a connection's life."""
    codec = registry.get(dialect, CHAINS)
    found = [(name, text) for name, outcome in _outcomes(dialect) for text in _texts(codec, outcome)]
    codecs = [codec] if dialect != "socketio" else [registry.get(name, CHAINS) for name in registry.VOCABULARY_NAMES]
    for codec in codecs:
        for event in EVENTS:
            name = "events" if dialect == registry.DEFAULT else event.kind
            found += [(name, text) for text in _event_messages(codec, event)]
    return found


def _outcomes(dialect: str) -> list[tuple[str, Outcome]]:
    asked = _REQUEST_IDS[dialect]
    topics = (Topic("trades", NETWORK, TOKEN),)
    refused = RequestError(Code.RATE_LIMITED, "101 messages in this minute; at most 100", asked["error"])
    return [
        ("connected", Connected("L0SM9cOFvHcCIhw=", (NETWORK,))),
        ("authenticated", Authenticated(USER, asked["authenticate"])),
        ("subscribed", Subscribed(topics, asked["subscribe"])),
        ("unsubscribed", Unsubscribed(topics, asked["unsubscribe"])),
        ("pong", Pong(NOW, asked["ping"])),
        ("auth_expired", AuthenticationExpired(60)),
        ("error", RequestError(refused.code, refused.message, refused.request_id, {"retry_after": 20})),
    ]


def _texts(codec: Dialect, outcome: Outcome) -> list[str]:
    return [message.decode() for message in codec.outcome_messages(outcome, NOW)]


def _event_messages(codec: Dialect, event: Event) -> list[str]:
    fragment = codec.event_fragment(event)
    if fragment is None:
        return []
    if codec.single_event_messages:
        return [fragment.decode()]
    return [codec.events_message(NETWORK, CURSOR, codec.channel(event), [fragment]).decode()]


CLIENT_SAMPLES: dict[str, list[tuple[str, str]]] = {
    "chaincast.v1": [
        ("subscribe", json.dumps({"type": "subscribe", "id": 1, "topics": [f"trades:{NETWORK}:*"]})),
        ("subscribe", json.dumps({"type": "subscribe", "id": 1, "topics": ["alerts:*"], "cursors": True})),
        ("subscribe", json.dumps({"type": "subscribe", "id": 2, "topics": ["tokens:*"], "since": {NETWORK: CURSOR}})),
        ("unsubscribe", json.dumps({"type": "unsubscribe", "id": 3, "topics": ["tokens:*"]})),
        ("ping", json.dumps({"type": "ping", "id": 4})),
        ("authenticate", json.dumps({"type": "authenticate", "id": 5, "token": "eyJhbGciOi…"})),
        ("get", json.dumps({"type": "get", "id": 6, "what": "trades", "network": NETWORK, "token": TOKEN})),
    ],
    "coremem": [
        ("subscribe", json.dumps({"type": "subscribe", "channel": "prices", "params": {"tokens": [TOKEN]}})),
        ("unsubscribe", json.dumps({"type": "unsubscribe", "channel": "prices"})),
        ("authenticate", json.dumps({"type": "authenticate", "token": "eyJhbGciOi…"})),
        ("ping", json.dumps({"type": "ping"})),
    ],
    "moonx": [
        ("authenticate", json.dumps({"id": "m1", "type": "authenticate", "data": {"token": "eyJhbGciOi…"}})),
        ("subscribe", json.dumps({"id": "m2", "type": "subscribe", "data": {"channel": "prices"}})),
        ("unsubscribe", json.dumps({"id": "m3", "type": "unsubscribe", "data": {"channel": "prices"}})),
        ("ping", json.dumps({"id": "m4", "type": "ping", "data": {}})),
    ],
    "socketio": [
        (verb, f"42{json.dumps([verb.split()[0], argument])}")
        for verb, argument in (
            ("subscribe:token", {"tokenAddress": TOKEN, "network": NETWORK}),
            ("unsubscribe:token", {"tokenAddress": TOKEN, "network": NETWORK}),
            ("get:price", {"tokenAddress": TOKEN, "network": NETWORK}),
            ("get:trades", {"tokenAddress": TOKEN, "network": NETWORK, "limit": 10}),
            ("subscribe:network", {"network": NETWORK}),
            ("unsubscribe:network", {"network": NETWORK}),
            ("subscribe", {"contractId": "ST1.campaigns", "eventTypes": ["bid_placed"]}),
            ("unsubscribe", {"contractId": "ST1.campaigns"}),
            ("getHistory", {"contractId": "ST1.campaigns", "limit": 50}),
            ("getStats", {"contractId": "ST1.campaigns"}),
            ("subscribe types", {"types": ["price_updates"]}),
            ("join_room", {"room": "price:BTC"}),
            ("leave_room", {"room": "price:BTC"}),
            ("authenticate", {"token": "eyJhbGciOi…"}),
            ("ping", {}),
        )
    ],
}
"""Dialect → name and text of sample messages from clients. A test decodes all of them."""
