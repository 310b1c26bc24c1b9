"""Tests of limits through the handlers, on moto."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chaincast.aws import environment
from chaincast.policy.rate_limits import MINUTE_MS
from tests.integration.handlers import (
    NOW,
    TOKEN_OF_ANN,
    Management,
    at,
    connect,
    load,
    open_connection,
    record,
    send_message,
    subscribed_topics,
    token,
    with_auth,
    with_settings,
)
from tests.integration.helpers import items, set_identity
from tests.lambda_functions import Context

LIMITS = {"messages_per_minute": 3, "ban_seconds": 60, "connections_per_minute": 2, "connections_per_ip": 2}


def test_connections_beyond_the_limit_learn_when_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    with_settings(monkeypatch, limits={**LIMITS, "exempt_ips": ["192.0.2.0/24"]})
    assert [open_connection(f"c{i}")["statusCode"] for i in range(3)] == [200, 200, 429]
    refused = open_connection("c4")
    assert refused["headers"] == {"Retry-After": "60"}
    assert "at most 2" in refused["body"]
    assert {item["connection_id"]["S"] for item in items(environment.CONNECTIONS)} == {"c0", "c1"}
    assert [open_connection(f"d{i}", "192.0.2.7")["statusCode"] for i in range(5)] == [200] * 5, "these are exempt"


def test_a_refused_token_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, limits={"connections_per_ip": 1}, allow_query_token=True)
    assert open_connection("c1", token="nonsense")["statusCode"] == 401
    assert open_connection("c2")["statusCode"] == 200
    assert open_connection("c3")["statusCode"] == 429
    load("disconnect").handler({"requestContext": {"connectionId": "c2", "eventType": "DISCONNECT"}}, Context())
    assert open_connection("c4")["statusCode"] == 200


def test_connections_of_a_user_are_counted_however_they_authenticate(
    management: Management, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, limits={"connections_per_user": 2}, allow_query_token=True)
    assert [open_connection(f"c{i}", token=TOKEN_OF_ANN)["statusCode"] for i in range(3)] == [200, 200, 429]
    connect()
    message = load("message")
    refused = json.loads(send_message(message, {"type": "authenticate", "token": TOKEN_OF_ANN}) or "")
    assert (refused["code"], record().user) == ("MAX_CONNECTIONS", "")
    bob = {"type": "authenticate", "token": token("bob")}
    assert json.loads(send_message(message, bob) or "")["user"]["id"] == "bob"
    load("disconnect").handler({"requestContext": {"connectionId": "c0", "eventType": "DISCONNECT"}}, Context())
    assert (
        json.loads(send_message(message, {"type": "authenticate", "token": TOKEN_OF_ANN}) or "")["user"]["id"] == "ann"
    )
    places = {item["key"]["S"]: set(item["open"]["SS"]) for item in items(environment.STATE) if "open" in item}
    assert places == {"user/ann": {"c1", "c1="}}


@pytest.mark.parametrize(
    ("query", "message", "words"),
    [
        ({}, '{"type":"ping","id":7}', {"type": "error", "id": 7, "code": "RATE_LIMITED", "retry_after": 20}),
        ({"dialect": "coremem"}, '{"type":"ping"}', {"type": "error", "code": "RATE_LIMITED", "retryAfter": 20}),
        (
            {"dialect": "moonx"},
            '{"type":"ping","id":"p","timestamp":1,"data":{}}',
            {"type": "error", "data": {"code": "RATE_LIMITED", "retryAfter": 20}},
        ),
        (
            {"EIO": "4", "transport": "websocket"},
            '427["subscribe:network",{"network":"anvil"}]',
            {"success": False, "code": "RATE_LIMITED", "retryAfter": 20},
        ),
    ],
)
def test_a_client_beyond_its_limit_is_refused_in_its_dialect_then_closed_then_banned(
    management: Management,
    monkeypatch: pytest.MonkeyPatch,
    query: dict[str, str],
    message: str,
    words: dict[str, Any],
) -> None:
    with_settings(monkeypatch, limits=LIMITS)
    connect(**query)
    function = load("message")
    at(function, monkeypatch, NOW - NOW % MINUTE_MS + 40_000)
    if "EIO" in query:
        set_identity("c1=", joined=True)
    for _ in range(3):
        assert "RATE_LIMITED" not in (send_message(function, message) or "")
    reply = send_message(function, message) or ""
    parsed = json.loads(reply.lstrip("0123456789"))
    answer = parsed[0] if isinstance(parsed, list) else parsed
    for name, value in words.items():
        assert answer[name] == value or value.items() <= answer[name].items()
    assert (send_message(function, message) or "").count("RATE_LIMITED") == 1
    send_message(function, message)
    assert (management.closed, open_connection("other")["statusCode"]) == ([], 200)
    replies = [send_message(function, message) for _ in range(7)]
    assert (
        [answer is None for answer in replies] == [False, True, True, False, True, True, False]
        if "EIO" not in query
        else [True] * 7
    )
    assert management.closed == ["c1="] * 3, "repeated, as long as API Gateway has not closed it"
    banned = open_connection("another")
    assert (banned["statusCode"], "temporarily banned" in banned["body"]) == (429, True)
    assert open_connection("elsewhere", "203.0.113.10")["statusCode"] == 200


def test_messages_of_the_next_minute_are_served_again(management: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    with_settings(monkeypatch, limits=LIMITS)
    connect()
    function = load("message")
    at(function, monkeypatch, NOW - NOW % MINUTE_MS)
    assert ["RATE" in (send_message(function, {"type": "ping"}) or "") for _ in range(5)] == [False] * 3 + [True] * 2
    at(function, monkeypatch, NOW - NOW % MINUTE_MS + MINUTE_MS)
    assert "pong" in (send_message(function, {"type": "ping"}) or "")


def test_subscribes_of_an_hour_are_counted_and_a_refused_one_leaves_nothing(
    management: Management, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_settings(monkeypatch, limits={"subscribes_per_hour": 2})
    connect()
    function = load("message")
    at(function, monkeypatch, NOW - NOW % 3_600_000 + 3_000_000)
    answers = [
        json.loads(send_message(function, {"type": "subscribe", "topics": [f"price:S{i}"]}) or "") for i in range(3)
    ]
    assert [answer["type"] for answer in answers] == ["subscribed", "subscribed", "error"]
    assert (answers[2]["code"], answers[2]["retry_after"]) == ("RATE_LIMITED", 600)
    assert set(subscribed_topics()) == {"price:S0", "price:S1"}
    at(function, monkeypatch, NOW - NOW % 3_600_000 + 3_600_000)
    again = json.loads(send_message(function, {"type": "subscribe", "topics": ["price:S2"]}) or "")
    assert again["type"] == "subscribed"
