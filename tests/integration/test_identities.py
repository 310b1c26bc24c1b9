"""Tests of connections' users on moto: tickets, claims, the end of tokens, unavailable services, administrators."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from chaincast.auth.tickets import TicketStore
from chaincast.aws import boto_clients, environment
from chaincast.jobs.messages import Deadline, IdentityExpiry, Job, Requirement, parse_job
from chaincast.protocol.commands import User
from tests.factories import http_event
from tests.integration.handlers import (
    NOW,
    TOKEN_OF_ANN,
    Lifecycle,
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
from tests.integration.helpers import items
from tests.lambda_functions import Context

if TYPE_CHECKING:
    from chaincast.aws.lambda_events import HttpEvent

PREMIUM = {"premium_topics": ["price:BTC"], "premium_claim": "plan", "premium_values": ["pro"]}


def ticket_request(verb: str = "POST", **headers: str) -> HttpEvent:
    return http_event(verb, "/ticket", headers=headers)


def test_a_ticket_for_a_token_connects_its_user_once(management: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    with_auth(monkeypatch, "required")
    answer = load("ticket").handler(ticket_request(Authorization=f"Bearer {token()}"), Context())
    assert answer["statusCode"] == 200
    issued = json.loads(answer["body"])
    assert issued["expires_in"] == 30
    assert open_connection("c1=", ticket=issued["ticket"])["statusCode"] == 200
    assert record().user == "ann"
    assert [open_connection("c2", ticket=issued["ticket"])["statusCode"] for _ in range(2)] == [401, 401]


def test_a_ticket_and_a_token_at_once_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, allow_query_token=True)
    ticket = TicketStore(boto_clients.dynamodb(), environment.STATE.lower()).issue(User("ann"), NOW)
    both = open_connection("c1=", ticket=ticket, token=token("bob"))
    assert (both["statusCode"], ticket in both["body"]) == (401, False)
    assert open_connection("c1=", ticket=ticket)["statusCode"] == 200, "the refused handshake did not use it up"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "AUTH_REQUIRED"),
        ({"authorization": "Basic x"}, 401, "AUTH_REQUIRED"),
        ({"authorization": "Bearer nonsense"}, 401, "AUTH_FAILED"),
        ({"authorization": f"Bearer {TOKEN_OF_ANN}", "origin": "https://evil.example"}, 403, "FORBIDDEN_ORIGIN"),
    ],
)
def test_requests_for_a_ticket_that_are_refused(
    monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], status: int, code: str
) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, origins=["https://app.example", "none"])
    answer = load("ticket").handler(ticket_request(**headers), Context())
    assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (status, code)
    assert "access-control-allow-origin" not in answer["headers"]
    assert not [item for item in items(environment.STATE) if item["key"]["S"].startswith("ticket/")]


def test_pages_that_may_connect_may_request_a_ticket(monkeypatch: pytest.MonkeyPatch) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, origins=["https://app.example"])
    function = load("ticket")
    asked = function.handler(ticket_request("OPTIONS", origin="https://app.example"), Context())
    assert asked["statusCode"] == 204
    assert asked["headers"]["access-control-allow-origin"] == "https://app.example"
    assert asked["headers"]["access-control-allow-headers"] == "authorization"
    assert function.handler(ticket_request("OPTIONS", origin="https://evil.example"), Context())["statusCode"] == 403


def test_premium_topics_need_their_claim(management: Management, monkeypatch: pytest.MonkeyPatch) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, **PREMIUM)
    connect()
    function = load("message")

    def subscribed(*topics: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(send_message(function, {"type": "subscribe", "topics": [*topics]}) or "")
        return answer

    assert subscribed("price:ETH")["type"] == "subscribed"
    for topic in ("price:BTC", "price:*"):
        refused = subscribed("trade:X", topic)
        assert (refused["code"], "'plan' = 'pro'" in refused["message"]) == ("PREMIUM_TOPIC", True)
    send_message(function, {"type": "authenticate", "token": token(plan="free")})
    assert subscribed("price:BTC")["code"] == "PREMIUM_TOPIC"
    send_message(function, {"type": "authenticate", "token": token(plan="pro")})
    assert subscribed("price:BTC", "price:*")["type"] == "subscribed"
    send_message(function, {"type": "authenticate", "token": token(plan="free")})
    assert set(subscribed_topics()) == {"price:ETH"}, "subscriptions that the new token does not allow are removed"


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Job, int]]:
    """Return a list to which every enqueued job is appended, with its delay."""
    noted: list[tuple[Job, int]] = []
    send = boto_clients.sqs().send_message

    def note(**given: Any) -> Any:
        noted.append((parse_job(given["MessageBody"]), given["DelaySeconds"]))
        return send(**given)

    monkeypatch.setattr(boto_clients.sqs(), "send_message", note)
    return noted


def test_the_end_of_a_token_is_notified_and_without_a_new_one_the_connection_closed(
    management: Management, monkeypatch: pytest.MonkeyPatch, orders: list[tuple[Job, int]]
) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, auth_grace=30)
    connect(dialect="moonx")
    function = load("message")

    def authenticate(seconds: float) -> int:
        shown = token(seconds=seconds)
        answer = send_message(function, {"id": "a", "type": "authenticate", "timestamp": 1, "data": {"token": shown}})
        assert json.loads(answer or "")["type"] == "auth_success"
        return record().user_until

    orders.clear()
    authenticate(3 * 3600)
    assert orders == [], "no connection lasts that long"
    end = authenticate(1000)
    [(job, delay)] = orders
    assert (job, delay) == (IdentityExpiry("c1=", end), 900)
    lifecycle = Lifecycle()
    orders.clear()
    lifecycle.run(job, at_s=end - 100)
    assert (orders, lifecycle.posted) == ([(job, 100)], []), "the delay of an SQS message is limited to 15 minutes"
    lifecycle.run(job, at_s=end)
    assert [message["type"] for message in lifecycle.posted] == ["auth_expired", "auth_required"]
    assert lifecycle.posted[0]["data"] == {"timeout": 30_000}
    assert orders[1:] == [(Deadline("c1=", Requirement.RENEWED), 30)]
    later = authenticate(2000)
    assert later > end
    lifecycle.run(Deadline("c1=", Requirement.RENEWED), at_s=end + 30)
    lifecycle.run(job, at_s=end + 31)
    assert (management.closed, len(lifecycle.posted)) == ([], 2), "the token was renewed"
    lifecycle.run(Deadline("c1=", Requirement.RENEWED), at_s=later)
    assert management.closed == ["c1="]
    assert lifecycle.posted[-1]["type"] == "auth_failed"
    lifecycle.run(IdentityExpiry("gone", 5), at_s=later)


def test_a_token_whose_end_the_queue_has_missed_opens_no_private_topic(
    management: Management, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_auth(monkeypatch, "optional")
    connect()
    function = load("message")
    send_message(function, {"type": "authenticate", "token": token(seconds=100)})
    subscribe = {"type": "subscribe", "topics": ["user:ann"]}
    now = int(time.time() * 1000)
    at(function, monkeypatch, now + 150_000)
    assert json.loads(send_message(function, subscribe) or "")["type"] == "subscribed", "the grace period has not ended"
    at(function, monkeypatch, now + 300_000)
    assert json.loads(send_message(function, subscribe) or "")["code"] == "PRIVATE_TOPIC"


@pytest.mark.parametrize(
    ("mode", "status", "joined"), [("optional", 200, "anonymous"), ("required", 503, "AUTH_UNAVAILABLE")]
)
def test_an_unavailable_auth_service_refuses_clients_only_if_authentication_is_required(
    management: Management, monkeypatch: pytest.MonkeyPatch, mode: str, status: int, joined: str
) -> None:
    with_settings(monkeypatch, auth=mode, auth_service="http://127.0.0.1:9/verify", allow_query_token=True)
    assert open_connection("c1=", token="any")["statusCode"] == status
    connect(EIO="4", transport="websocket")
    greeting = send_message(load("message"), '40{"token":"any"}')
    assert joined in (greeting or "")
    connect()
    refused = json.loads(send_message(load("message"), {"type": "authenticate", "token": "any"}) or "")
    assert refused["code"] == "AUTH_UNAVAILABLE"


def administer(method: str, path: str, **query: str) -> tuple[int, dict[str, Any]]:
    answer = load("admin").handler(http_event(method, path, query=query), Context())
    return answer["statusCode"], json.loads(answer["body"])


def test_an_administrator_closes_a_connection_or_all_of_a_user(
    management: Management, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_auth(monkeypatch, "optional")
    with_settings(monkeypatch, limits={"connections_per_user": 5}, allow_query_token=True)
    for name in ("c1=", "c2"):
        open_connection(name, token=TOKEN_OF_ANN)
    open_connection("c3")
    assert administer("DELETE", "/connections/c1=") == (200, {"closed": 1})
    assert management.closed == ["c1="]
    assert administer("DELETE", "/connections/nobody") == (200, {"closed": 0})
    assert administer("DELETE", "/users/ann/connections") == (200, {"closed": 2})
    assert sorted(management.closed[1:]) == ["c1=", "c2"]
    assert administer("DELETE", "/users/bob/connections") == (200, {"closed": 0})
    status, refused = administer("DELETE", "/users")
    assert (status, refused["code"]) == (404, "UNKNOWN_ROUTE")
    with_settings(monkeypatch, limits={})
    status, refused = administer("DELETE", "/users/ann/connections")
    assert (status, refused["code"]) == (409, "UNSUPPORTED")
