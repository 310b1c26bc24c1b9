"""Tests of authenticators with an issuer and an auth service on loopback HTTP servers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from threading import Event

import pytest

from chaincast.auth.circuit_breaker import MAX_FAILURES, OPEN_SECONDS, CircuitBreaker
from chaincast.auth.factory import make_authenticator
from chaincast.auth.jwt import Authenticator, JwtAuthenticator, NoAuth
from chaincast.auth.remote import RemoteAuthenticator
from chaincast.errors import Code, RequestError
from chaincast.protocol.commands import User
from tests.lambda_functions import SETTINGS
from tests.serving import Answer, serving
from tests.unit.auth.test_jwks import ALL, token


def no_secret() -> str:
    raise AssertionError("no shared secret is needed")


@pytest.fixture
def issuer() -> Iterator[str]:
    def keys(request: BaseHTTPRequestHandler) -> Answer:
        return (200, json.dumps({"keys": ALL}).encode()) if request.path == "/keys" else (404, b"")

    with serving(GET=keys) as port:
        yield f"http://127.0.0.1:{port}"


def test_tokens_are_checked_with_the_keys_that_the_issuer_serves(issuer: str) -> None:
    settings = replace(SETTINGS, auth="optional", auth_jwks_url=f"{issuer}/keys", auth_issuer="https://issuer.example")
    tokens = make_authenticator(settings, no_secret)
    assert isinstance(tokens, JwtAuthenticator)
    assert tokens.authenticate(token("e")).id == "u1"
    with pytest.raises(RequestError, match="issuer"):
        tokens.authenticate(token("e", iss="https://evil.example"))


@pytest.mark.parametrize("path", ["/nowhere", ":1/keys"])
def test_an_unavailable_issuer_does_not_make_a_token_invalid(issuer: str, path: str) -> None:
    url = f"{issuer}{path}" if path.startswith("/") else f"http://127.0.0.1{path}"
    tokens = make_authenticator(replace(SETTINGS, auth="required", auth_jwks_url=url), no_secret)
    with pytest.raises(RequestError) as caught:
        tokens.authenticate(token("e"))
    assert caught.value.code == Code.AUTH_UNAVAILABLE


def test_without_authentication_no_keys_are_fetched() -> None:
    assert isinstance(
        make_authenticator(replace(SETTINGS, auth="off", auth_jwks_url="http://127.0.0.1:1/"), no_secret), NoAuth
    )


def test_a_secret_that_is_too_short_is_refused() -> None:
    tokens = make_authenticator(replace(SETTINGS, auth="optional"), lambda: "short")
    with pytest.raises(ValueError, match="5 bytes; at least 32"):
        tokens.authenticate("a.b.c")


class AuthService:
    """A fake auth service with one valid token. It can be slow, broken or moved."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.mode = "well"

    def answer(self, request: BaseHTTPRequestHandler) -> Answer:
        shown = request.headers.get("Authorization", "")
        self.asked.append(f"{request.path} {shown}")
        if self.mode == "slow":
            Event().wait(0.5)
        if self.mode == "broken":
            return 500, b"{}"
        if self.mode == "moved":
            return 302, b"", {"Location": f"http://{request.headers['Host']}/elsewhere"}
        if shown != "Bearer good":
            return 401, b"{}"
        return 200, b'{"success": true, "data": {"user": {"id": "ann", "email": "a@example.com"}}}'


@pytest.fixture
def service() -> Iterator[tuple[AuthService, str]]:
    known = AuthService()

    with serving(GET=known.answer) as port:
        yield known, f"http://127.0.0.1:{port}/api/v1/auth/verify"


def code_of(tokens: Authenticator, token: str) -> Code | None:
    try:
        assert tokens.authenticate(token) == User("ann", "a@example.com")
    except RequestError as error:
        return error.code
    return None


def test_an_auth_service_verifies_tokens_and_its_failures_are_not_taken_for_answers(
    service: tuple[AuthService, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaincast.auth.factory.SERVICE_TIMEOUT_SECONDS", 0.2)
    known, url = service
    tokens = make_authenticator(replace(SETTINGS, auth="required", auth_service=url), no_secret)
    assert isinstance(tokens, RemoteAuthenticator)
    assert [code_of(tokens, token) for token in ("good", "bad", "go\nod", "gööd")] == [None, *[Code.AUTH_FAILED] * 3]
    assert known.asked == ["/api/v1/auth/verify Bearer good", "/api/v1/auth/verify Bearer bad"]
    for mode in ("broken", "moved", "slow"):
        known.mode = mode
        tokens = make_authenticator(replace(SETTINGS, auth="required", auth_service=url), no_secret)
        assert code_of(tokens, "good") is Code.AUTH_UNAVAILABLE
    assert not any("elsewhere" in asked for asked in known.asked), "a redirect does not get the token"


def test_an_unavailable_service_gets_no_requests_until_a_trial_request_succeeds(
    service: tuple[AuthService, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, url = service
    now = 0.0
    monkeypatch.setattr(CircuitBreaker.__init__, "__defaults__", (lambda: now,))
    tokens = make_authenticator(replace(SETTINGS, auth="required", auth_service=url), no_secret)
    known.mode = "broken"
    assert {code_of(tokens, "good") for _ in range(100)} == {Code.AUTH_UNAVAILABLE}
    assert len(known.asked) == MAX_FAILURES, "the other 97 caused no request"
    known.mode = "well"
    assert code_of(tokens, "good") is Code.AUTH_UNAVAILABLE
    now += OPEN_SECONDS
    assert [code_of(tokens, "good") for _ in range(3)] == [None] * 3
