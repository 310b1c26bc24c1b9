from __future__ import annotations

import time

import jwt
import pytest

from chaincast.auth.jwt import JwtAuthenticator, NoAuth, SharedSecretKey
from chaincast.errors import Code, RequestError
from chaincast.protocol.commands import User

SECRET = "s" * 64
OTHER = "o" * 64
NOW = int(time.time())


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> str:
    return jwt.encode({"sub": "u1", "exp": NOW + 86_400, **claims}, secret, algorithm=algorithm)


def test_a_good_token_names_its_user() -> None:
    tokens = JwtAuthenticator(SharedSecretKey(lambda: SECRET))
    assert tokens.authenticate(token(email="u@example.com", exp=NOW + 9_000)) == User(
        "u1", "u@example.com", NOW + 9_000
    )
    assert tokens.authenticate(token(email=7, exp=1e300 + NOW)) == User("u1", "", 1 << 40)
    assert tokens.authenticate(token(aud="somebody")).id == "u1"


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (token(OTHER), "Signature"),
        (token(exp=NOW - 86_400), "expired"),
        (token(nbf=NOW + 86_400), "not yet valid"),
        (jwt.encode({"sub": "u1"}, SECRET, algorithm="HS256"), "exp"),
        (jwt.encode({"exp": NOW + 86_400}, SECRET, algorithm="HS256"), "sub"),
        (token(sub="a:b"), "sub"),
        (token(sub=""), "sub"),
        (token(sub="#me"), "sub"),
        (token(sub="*"), "sub"),
        (token(sub=7), "ubject"),
        (jwt.encode({"sub": "u1", "exp": NOW + 86_400}, "", algorithm="none"), "alg"),
        (token("s" * 64, "HS512"), "alg"),
        ("nonsense", "Not enough segments"),
        ("", "Not enough segments"),
        ("a" * 9_000, "9000 characters"),
    ],
    ids=[
        "another key",
        "expired",
        "not yet valid",
        "no exp",
        "no sub",
        "sub with a colon",
        "empty sub",
        "sub of a private topic",
        "sub that is a wildcard",
        "sub that is a number",
        "no signature",
        "another algorithm",
        "no JWT",
        "empty",
        "too long",
    ],
)
def test_a_bad_token_is_refused_and_not_repeated(bad: str, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        JwtAuthenticator(SharedSecretKey(lambda: SECRET)).authenticate(bad)
    assert caught.value.code == Code.AUTH_FAILED
    assert caught.value.message.startswith("Invalid token: ")
    assert words in caught.value.message
    assert not bad or bad not in caught.value.message


def test_the_secret_is_read_with_the_first_token_and_not_before() -> None:
    asked = []

    def secret() -> str:
        asked.append(1)
        return SECRET

    tokens = JwtAuthenticator(SharedSecretKey(secret))
    assert asked == []
    tokens.authenticate(token())
    assert asked == [1]


def test_without_authentication_every_token_is_ignored() -> None:
    assert NoAuth().authenticate("anything") is None
