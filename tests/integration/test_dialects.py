"""Clients of other servers: the connect, message and heartbeat functions in their dialects, on moto."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from chaincast.aws import boto_clients, environment
from chaincast.config.function_settings import Settings
from chaincast.eventlog.history_store import History
from chaincast.jobs.messages import Deadline, Requirement
from chaincast.protocol.commands import User
from chaincast.sessions.cleanup import HANDSHAKE_MS
from chaincast.sessions.connection_store import Connection, ConnectionStore, activity_slot
from tests.factories import TOKEN, make_batch
from tests.integration.handlers import (
    NOW,
    TOKEN_OF_ANN,
    Lifecycle,
    Management,
    connect,
    event,
    jobs,
    load,
    record,
    send_message,
    subscribed_topics,
    with_auth,
)
from tests.integration.helpers import items, set_identity, subscriptions
from tests.lambda_functions import Context
from tests.unit.protocol.sample_events import CREATED, PRICE, TRADE


def test_a_socket_io_client_joins_subscribes_and_leaves(management: Management) -> None:
    assert connect(EIO="4", transport="websocket") == {"statusCode": 200}
    assert (record().dialect, jobs()) == ("socketio", (1, 1))
    message = load("message")
    greeting = send_message(message, "40")
    assert management.posted == ['40{"sid":"c1="}']
    assert greeting is not None
    assert greeting.startswith('42["connected",')
    assert record().joined
    confirmed = send_message(message, f'42["subscribe:token",{{"tokenAddress":"{TOKEN}","network":"anvil"}}]')
    assert confirmed == f'42["subscription:confirmed",{{"room":"token:anvil:{TOKEN}"}}]'
    acknowledged = send_message(message, '427["subscribe",{"contractId":"S.c","eventTypes":["bid_placed"]}]')
    assert acknowledged is not None
    assert acknowledged.startswith("437[")
    assert management.posted[1].startswith('42["subscribed"')
    assert subscribed_topics() == {f"token:anvil:{TOKEN}": "socketio/kaspump", "contract:*:s.c": "socketio/adstack"}
    assert send_message(message, "3") == "6"
    assert send_message(message, "41") == "6"
    assert (subscribed_topics(), record().joined, management.closed) == ({}, False, [])
    send_message(message, "40")
    assert record().joined


@pytest.mark.parametrize("frame", ["4abc", "abc", "41", "1", "42{}", "44{}"])
def test_a_protocol_violation_closes_the_connection(management: Management, frame: str) -> None:
    connect(EIO="4", transport="websocket")
    message = load("message")
    assert send_message(message, frame) is None
    assert management.closed == ["c1="]


def test_an_event_before_joining_and_a_second_join_violate_the_protocol(management: Management) -> None:
    connect(EIO="4", transport="websocket")
    message = load("message")
    assert send_message(message, '42["join_room",{"room":"price:A"}]') is None
    assert management.closed == ["c1="]
    send_message(message, "40")
    assert send_message(message, "40") is None
    assert management.closed == ["c1=", "c1="]
    assert subscribed_topics() == {}


def test_the_dialect_of_a_coremem_client_is_detected(management: Management) -> None:
    connect()
    assert (record().dialect, record().undecided) == ("chaincast.v1", True)
    message = load("message")
    assert json.loads(send_message(message, {"type": "ping"}) or "")["type"] == "pong"
    assert record().undecided
    subscribe = {"type": "subscribe", "channel": "trades", "params": {"tokens": ["*"]}}
    assert json.loads(send_message(message, subscribe) or "") == {"type": "subscribed", "channel": "trades"}
    assert (record().dialect, record().undecided) == ("coremem", False)
    assert subscribed_topics() == {"trades:*:*": "coremem"}
    gone = {"type": "unsubscribe", "channel": "trades"}
    assert json.loads(send_message(message, gone) or "") == {"type": "unsubscribed", "channel": "trades"}
    assert subscribed_topics() == {}


def test_recent_tokens_and_current_prices_come_with_the_confirmation(management: Management) -> None:
    History(boto_clients.dynamodb(), environment.HISTORY.lower(), 3600).add([make_batch(CREATED, PRICE, TRADE)])
    connect(dialect="coremem")
    message = load("message")
    recent = send_message(message, {"type": "subscribe", "channel": "tokens", "params": {"includeRecent": True}})
    assert [json.loads(frame) for frame in management.posted] == [{"type": "subscribed", "channel": "tokens"}]
    assert [t["symbol"] for t in json.loads(recent or "")["data"]["tokens"]] == ["MEME"]
    prices = send_message(message, {"type": "subscribe", "channel": "prices", "params": {"tokens": [TOKEN]}})
    assert [p["price"] for p in json.loads(prices or "")["data"]["prices"]] == [0.00025]


def test_kaspump_and_adstack_query_the_history_of_all_networks(management: Management) -> None:
    History(boto_clients.dynamodb(), environment.HISTORY.lower(), 3600).add([make_batch(CREATED, PRICE, TRADE)])
    connect(EIO="4", transport="websocket")
    message = load("message")
    send_message(message, "40")
    price = send_message(message, f'421["get:price",{{"tokenAddress":"{TOKEN}"}}]')
    assert json.loads((price or "")[3:])[0]["data"]["price"] == "0.00025"
    trades = send_message(message, f'422["get:trades",{{"tokenAddress":"{TOKEN}","network":"anvil","limit":5}}]')
    assert [t["type"] for t in json.loads((trades or "")[3:])[0]["data"]] == ["buy"]
    stats = send_message(message, '423["getStats",{"contractId":"S.c"}]')
    assert json.loads((stats or "")[3:])[0]["data"]["totalEvents"] == 0
    history = send_message(message, '42["getHistory",{"contractId":"S.c"}]')
    assert json.loads((history or "")[2:]) == ["history", {"contractId": "S.c", "events": []}]


def test_a_moonx_client_authenticates_and_subscribes_to_private_topics(
    management: Management, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_auth(monkeypatch, "required")
    connect(dialect="moonx")
    assert jobs() == (1, 1)
    message = load("message")
    subscribe = {"id": "s1", "type": "subscribe", "timestamp": NOW, "data": {"channel": "orders"}}
    assert json.loads(send_message(message, subscribe) or "")["data"]["code"] == "AUTH_REQUIRED"
    wrong = {"id": "a1", "type": "authenticate", "timestamp": NOW, "data": {"token": TOKEN_OF_ANN + "x"}}
    refused = json.loads(send_message(message, wrong) or "")
    assert (refused["type"], refused["id"]) == ("auth_failed", "auth_failed_a1")
    assert refused["data"]["error"].startswith("Invalid token")
    right = {**wrong, "data": {"token": TOKEN_OF_ANN}}
    success = json.loads(send_message(message, right) or "")
    assert success["data"] == {"user": {"id": "ann", "email": "ann@example.com"}}
    assert record().user == "ann"
    assert json.loads(send_message(message, subscribe) or "")["type"] == "subscribed"
    trades = {**subscribe, "data": {"channel": "trades"}}
    assert json.loads(send_message(message, trades) or "")["data"] == {"channel": "trades"}
    assert subscribed_topics() == {"orders:ann": "moonx", "user:ann": "moonx"}


def test_a_socket_io_client_sends_its_token_when_it_joins(
    management: Management, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_auth(monkeypatch, "optional")
    connect(EIO="4", transport="websocket")
    message = load("message")
    refused = send_message(message, '40{"token":"nonsense"}')
    assert refused is not None
    assert refused.startswith('44{"message":"Invalid token')
    assert not record().joined
    authenticated = send_message(message, f'40{{"token":"{TOKEN_OF_ANN}"}}')
    assert json.loads((authenticated or "")[2:]) == [
        "authenticated",
        {"user": {"id": "ann", "email": "ann@example.com"}},
    ]
    assert [frame[:14] for frame in management.posted] == ['40{"sid":"c1="', '42["connected"']
    send_message(message, '42["join_room",{"room":"user:ann"}]')
    stranger = send_message(message, '42["join_room",{"room":"user:bob"}]')
    assert json.loads((stranger or "")[2:])[1]["code"] == "PRIVATE_TOPIC"
    assert subscribed_topics() == {"user:ann": "socketio/moonx-gateway"}


def test_the_heartbeat_pings_idle_connections_and_closes_silent_ones(
    management: Management, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = ConnectionStore(boto_clients.dynamodb(), environment.CONNECTIONS.lower())
    five = 300_000
    for name, dialect, quiet_for in (
        ("fresh", "socketio", 0),
        ("once", "socketio", five),
        ("twice", "socketio", 2 * five),
        ("silent", "socketio", 3 * five),
        ("core", "coremem", 9 * five),
        ("left", "moonx", HANDSHAKE_MS),
        ("ours", "chaincast.v1", 0),
    ):
        connections.put(Connection(name, dialect, "", "", NOW - quiet_for))
    subscriptions().add("silent", "socketio", ["a"], (), 9, NOW)
    heartbeat = load("heartbeat")
    monkeypatch.setattr(
        heartbeat.heartbeat_handler, "_clock", lambda: NOW
    )  # so that no new slot begins during the test
    pinged: dict[str, list[str]] = {}

    async def deliver(payloads: list[bytes], names: list[str]) -> SimpleNamespace:
        (payload,) = payloads
        for name in names:
            pinged.setdefault(payload.decode()[:14], []).append(name)
        gone = [name for name in names if name == "left"]
        return SimpleNamespace(posted=len(names) - len(gone), gone=gone)

    monkeypatch.setattr(heartbeat.heartbeat_handler, "_poster", SimpleNamespace(deliver=deliver))
    counts = heartbeat.handler({}, Context(60_000))
    assert {payload: sorted(names) for payload, names in pinged.items()} == {
        "2": ["fresh", "once", "twice"],
        '{"type":"ping"': ["core"],
        '{"id":"ping_17'[:14]: ["left"],
    }
    assert management.closed == ["silent"]
    assert counts == {"asked": 0, "pinged": 4, "silent": 1, "gone": 1, "left": 0, "failed": 0, "healed": 0}
    assert {c for c, _ in connections.idle_since("socketio", activity_slot(NOW) + 1)} == {"fresh", "once", "twice"}
    assert connections.get("left") is None
    assert items(environment.SUBSCRIPTIONS) == []


def test_without_authentication_every_token_is_accepted_as_anonymous() -> None:
    assert Settings.from_environment().auth == "off"
    connect(dialect="moonx")
    message = load("message")
    answer = send_message(message, {"id": "a", "type": "authenticate", "timestamp": 1, "data": {"token": "anything"}})
    assert json.loads(answer or "")["data"] == {"user": {"id": "anonymous", "email": ""}}
    assert record().user == ""


@pytest.mark.parametrize(
    ("until", "joined", "user", "closes"),
    [
        ("joined", False, "", True),
        ("joined", True, "", False),
        ("authenticated", False, "", True),
        ("authenticated", True, "ann", False),
    ],
)
def test_a_connection_that_misses_a_deadline_is_closed(
    management: Management, monkeypatch: pytest.MonkeyPatch, until: str, joined: bool, user: str, closes: bool
) -> None:
    connect(dialect="moonx")
    set_identity("c1=", user=User(user) if user else None, joined=joined)
    lifecycle = Lifecycle()
    lifecycle.run(Deadline("c1=", Requirement(until)), Deadline("gone", Requirement(until)), at_s=NOW / 1000)
    assert management.closed == (["c1="] if closes else [])
    assert [message["type"] for message in lifecycle.posted] == (
        ["auth_failed"] if closes and until == "authenticated" else []
    )


def test_a_token_may_come_with_the_handshake(management: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    with_auth(monkeypatch, "required")
    handshake = event("CONNECT")
    handshake["headers"] = {"Sec-WebSocket-Protocol": f"chaincast.v1, chaincast.token.{TOKEN_OF_ANN}"}
    answer = load("connect").handler(handshake, Context())
    assert answer == {"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "chaincast.v1"}}
    assert (record().user, jobs()) == ("ann", (1, 0)), "no deadline for authentication"
    subscribed = send_message(load("message"), {"type": "subscribe", "topics": ["user:ann"]})
    assert json.loads(subscribed or "")["type"] == "subscribed"


@pytest.mark.parametrize("mode", ["optional", "required"])
def test_a_bad_token_of_a_handshake_is_refused(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    with_auth(monkeypatch, mode)
    handshake = event("CONNECT")
    handshake["headers"] = {"Authorization": f"Bearer {TOKEN_OF_ANN}x"}
    answer = load("connect").handler(handshake, Context())
    assert answer["statusCode"] == 401
    assert TOKEN_OF_ANN not in answer["body"]
    assert items(environment.CONNECTIONS) == []
