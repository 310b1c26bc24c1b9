"""Tests of the ticket handler with fakes: tickets, refusals and CORS headers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from chaincast.auth.ticket_handler import TicketHandler
from chaincast.auth.tickets import TICKET_SECONDS
from chaincast.aws.lambda_events import HttpResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.metrics.logger import make_logger
from chaincast.protocol.commands import User
from tests.factories import http_event
from tests.lambda_functions import Context
from tests.unit.handler_fakes import NOW, SETTINGS, CountingMetrics

PAGE = "https://app.example"
ALLOWED = replace(SETTINGS, auth="optional", origins=(PAGE, "none"))


class Desk:
    """A ticket handler with fakes. The token `good` is Ann's; `anonymous` is one of a deployment without tokens."""

    def __init__(self, settings: Settings = ALLOWED) -> None:
        self.issued: list[tuple[str, int]] = []
        self.metrics = CountingMetrics()
        self.handler = TicketHandler(settings, self, self, self.metrics, make_logger("test"), lambda: NOW)

    def authenticate(self, token: str) -> User | None:
        if token == "anonymous":
            return None
        if token == "broken":
            raise RuntimeError("no secret")
        if token != "good":
            raise RequestError(Code.AUTH_FAILED, "Invalid token")
        return User("ann")

    def issue(self, user: User, now_ms: int) -> str:
        self.issued.append((user.id, now_ms))
        return "cct_1"

    def request(self, method: str = "POST", **headers: str) -> HttpResponse:
        return self.handler.routes.resolve(http_event(method, "/ticket", headers=headers), Context())  # type: ignore[arg-type]  # what Powertools reads of it


def document(response: HttpResponse) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(response["body"])
    return parsed


def test_a_token_is_exchanged_for_a_ticket() -> None:
    desk = Desk()
    response = desk.request(Authorization="Bearer good", origin=PAGE)
    assert (response["statusCode"], document(response)) == (200, {"ticket": "cct_1", "expires_in": TICKET_SECONDS})
    assert response["headers"]["access-control-allow-origin"] == PAGE
    assert response["headers"]["cache-control"] == "no-store"
    assert desk.issued == [("ann", NOW)]
    assert desk.metrics.counts["TicketsIssued"] == desk.metrics.counts["Authentications ACCEPTED"] == 1


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "AUTH_REQUIRED"),
        ({"authorization": "Basic x"}, 401, "AUTH_REQUIRED"),
        ({"authorization": "Bearer bad"}, 401, "AUTH_FAILED"),
        ({"authorization": "Bearer anonymous"}, 503, "AUTH_UNAVAILABLE"),
        ({"authorization": "Bearer broken"}, 500, "INTERNAL"),
    ],
)
def test_a_refusal_can_be_read_by_the_page(headers: dict[str, str], status: int, code: str) -> None:
    desk = Desk()
    response = desk.request(**headers, origin=PAGE)
    assert (response["statusCode"], document(response)["code"]) == (status, code)
    assert response["headers"]["access-control-allow-origin"] == PAGE
    assert desk.issued == []


def test_a_page_of_another_origin_cannot_read_why_it_is_refused() -> None:
    response = Desk().request(authorization="Bearer good", origin="https://evil.example")
    assert (response["statusCode"], document(response)["code"]) == (403, "FORBIDDEN_ORIGIN")
    assert "access-control-allow-origin" not in response["headers"]


def test_an_address_that_is_denied_is_refused() -> None:
    response = Desk(replace(ALLOWED, deny_ips=("203.0.113.9/32",))).request(authorization="Bearer good")
    assert (response["statusCode"], document(response)["code"]) == (403, "FORBIDDEN_ADDRESS")


def test_a_preflight_request_is_answered_for_origins_that_may_connect() -> None:
    desk = Desk()
    response = desk.request("OPTIONS", origin=PAGE)
    assert (response["statusCode"], response["headers"]["access-control-allow-headers"]) == (204, "authorization")
    assert desk.request("OPTIONS", origin="https://evil.example")["statusCode"] == 403
