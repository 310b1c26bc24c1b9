"""An issuer's keys over HTTP, as a function gets them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chaincast.auth import Tokens, Unchecked
from chaincast.aws.authenticators import make_authenticator
from chaincast.errors import ClientError, Code
from tests.integration.conftest import SETTINGS
from tests.unit.test_keys import ALL, token


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"keys": ALL}).encode() if self.path == "/keys" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base class
        """Not into the tests' output."""


@pytest.fixture
def issuer() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_tokens_are_checked_with_the_keys_that_the_issuer_serves(issuer: str) -> None:
    settings = replace(SETTINGS, auth="optional", auth_jwks_url=f"{issuer}/keys", auth_issuer="https://issuer.example")
    tokens = make_authenticator(settings)
    assert isinstance(tokens, Tokens)
    assert tokens.user_of(token("e")).id == "u1"
    with pytest.raises(ClientError, match="issuer"):
        tokens.user_of(token("e", iss="https://evil.example"))


@pytest.mark.parametrize("path", ["/nowhere", ":1/keys"])
def test_an_issuer_that_does_not_answer_is_no_fault_of_the_token(issuer: str, path: str) -> None:
    url = f"{issuer}{path}" if path.startswith("/") else f"http://127.0.0.1{path}"
    tokens = make_authenticator(replace(SETTINGS, auth="required", auth_jwks_url=url))
    with pytest.raises(ClientError) as caught:
        tokens.user_of(token("e"))
    assert caught.value.code == Code.AUTH_UNAVAILABLE


def test_where_nobody_is_asked_nothing_is_fetched() -> None:
    assert isinstance(make_authenticator(replace(SETTINGS, auth="off", auth_jwks_url="http://127.0.0.1:1/")), Unchecked)


def test_a_secret_that_is_too_short_signs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaincast.aws.authenticators.secret", lambda variable: "short")
    tokens = make_authenticator(replace(SETTINGS, auth="optional"))
    with pytest.raises(ValueError, match="5 bytes; at least 32"):
        tokens.user_of("a.b.c")
