"""Tests of tokens that are signed with an issuer's keys: rotation, caching, and attacks with public keys."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from chaincast.auth.jwks import FETCH_PAUSE_SECONDS, MAX_AGE_SECONDS, STALE_SECONDS, JwksCache
from chaincast.auth.jwt import JwksKey, JwtAuthenticator
from chaincast.errors import Code, RequestError

RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
PRIVATE: dict[str, Any] = {"r": RSA, "e": EC, "d": ED}
ALGORITHM = {"r": "RS256", "e": "ES256", "d": "EdDSA"}


def jwk(kid: str, **more: object) -> dict[str, object]:
    """Return a public key as a JSON Web Key."""
    public = {
        "r": lambda: RSAAlgorithm.to_jwk(RSA.public_key()),
        "e": lambda: ECAlgorithm.to_jwk(EC.public_key()),
        "d": lambda: OKPAlgorithm.to_jwk(ED.public_key()),
    }[kid]()
    return {**json.loads(public), "kid": kid, **more}


ALL = [jwk("r"), jwk("e"), jwk("d")]


class Issuer:
    """A fake issuer. It counts fetches of its keys, and can be down."""

    def __init__(self, keys: list[Any]) -> None:
        self.keys: object = keys
        self.fetches = 0
        self.now = 1_000.0
        self.down = False

    def fetch(self) -> object:
        self.fetches += 1
        if self.down:
            raise OSError("no answer")
        return {"keys": self.keys}

    def cache(self) -> JwksCache:
        return JwksCache(self.fetch, lambda: self.now)


def token(kid: str | None = "r", key: object = None, algorithm: str | None = None, **claims: object) -> str:
    signing: Any = key or PRIVATE[kid or "r"]
    headers = {} if kid is None else {"kid": kid}
    claims = {"sub": "u1", "exp": int(time.time()) + 86_400, "iss": "https://issuer.example", "aud": "app", **claims}
    return jwt.encode(claims, signing, algorithm or ALGORITHM[kid or "r"], headers)


def code_of(tokens: JwtAuthenticator, bad: str) -> Code | None:
    refusal: RequestError | None = None
    try:
        tokens.authenticate(bad)
    except RequestError as error:
        refusal = error
    if refusal is None:
        return None
    assert bad not in refusal.message
    return refusal.code


@pytest.mark.parametrize("kid", ["r", "e", "d"])
def test_a_token_of_each_algorithm_is_good(kid: str) -> None:
    assert JwtAuthenticator(JwksKey(Issuer(ALL).cache())).authenticate(token(kid)).id == "u1"


def test_a_token_without_a_key_id_is_good_where_there_is_one_key() -> None:
    assert JwtAuthenticator(JwksKey(Issuer([jwk("r")]).cache())).authenticate(token(None)).id == "u1"
    assert code_of(JwtAuthenticator(JwksKey(Issuer(ALL).cache())), token(None)) == Code.AUTH_FAILED


PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def forged(header: dict[str, object]) -> str:
    """Return a token signed by HS256 with a public key as the secret, which PyJWT refuses to make."""
    import base64
    import hashlib
    import hmac

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": "u1", "exp": int(time.time()) + 86_400}
    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.new(PUBLIC_PEM, signed.encode(), hashlib.sha256).digest())}"


@pytest.mark.parametrize(
    "bad",
    [
        token("r", OTHER_RSA),
        token("r", exp=1),
        token("r", nbf=int(time.time()) + 86_400),
        token("r", iss="https://evil.example"),
        token("r", aud="another"),
        token("r", EC, "ES256"),
        token("r", RSA, "RS384"),
        token("unknown", RSA, "RS256"),
        jwt.encode({"sub": "u1", "exp": 9e9}, "", "none", {"kid": "r"}),
        forged({"alg": "HS256", "kid": "r", "typ": "JWT"}),
        forged({"alg": "RS256", "kid": "r", "typ": "JWT"}),
        forged({"alg": "HS256", "kid": ["r"], "typ": "JWT"}),
        forged({"alg": "none", "kid": "r"}),
        forged({}),
    ],
    ids=[
        "another key",
        "expired",
        "not yet valid",
        "another issuer",
        "another audience",
        "key of another algorithm",
        "algorithm that is not configured",
        "unknown key",
        "no signature",
        "public key as secret",
        "RS256 with HMAC",
        "key id that is a list",
        "alg none with signature",
        "no header",
    ],
)
def test_forged_expired_and_foreign_tokens_are_refused(bad: str) -> None:
    tokens = JwtAuthenticator(JwksKey(Issuer(ALL).cache()), "https://issuer.example", ("app",))
    assert tokens.authenticate(token("r")).id == "u1"
    assert code_of(tokens, bad) == Code.AUTH_FAILED


def test_many_tokens_with_unknown_keys_cost_one_fetch_per_pause() -> None:
    issuer = Issuer(ALL)
    tokens = JwtAuthenticator(JwksKey(issuer.cache()))
    for number in range(1_000):
        assert code_of(tokens, token(f"k{number}", RSA, "RS256")) == Code.AUTH_FAILED
    assert issuer.fetches == 1
    issuer.now += FETCH_PAUSE_SECONDS
    assert code_of(tokens, token("k", RSA, "RS256")) == Code.AUTH_FAILED
    assert issuer.fetches == 2
    assert code_of(tokens, token("r")) is None


def test_a_new_key_is_fetched_and_a_removed_one_no_longer_valid() -> None:
    issuer = Issuer([jwk("r")])
    tokens = JwtAuthenticator(JwksKey(issuer.cache()))
    tokens.authenticate(token("r"))
    issuer.keys = [jwk("e")]
    issuer.now += FETCH_PAUSE_SECONDS
    tokens.authenticate(token("e"))
    assert code_of(tokens, token("r")) == Code.AUTH_FAILED


def test_cached_keys_are_fetched_again_and_used_while_the_issuer_is_down() -> None:
    issuer = Issuer(ALL)
    tokens = JwtAuthenticator(JwksKey(issuer.cache()))
    tokens.authenticate(token("r"))
    issuer.now += MAX_AGE_SECONDS + 1
    tokens.authenticate(token("r"))
    assert issuer.fetches == 2
    issuer.down = True
    issuer.now += MAX_AGE_SECONDS + 1
    for _ in range(100):
        tokens.authenticate(token("r"))
    assert issuer.fetches == 3
    issuer.now += STALE_SECONDS
    assert code_of(tokens, token("r")) == Code.AUTH_UNAVAILABLE
    issuer.down = False
    issuer.now += FETCH_PAUSE_SECONDS
    assert code_of(tokens, token("r")) is None


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [None, "x", 7, {}],
        [{"kty": "RSA"}],
        [{"kty": "oct", "k": "c2VjcmV0", "kid": "r"}],
        [jwk("r", use="enc")],
        [{"kty": "EC", "crv": "P-384", "x": "a", "y": "b"}],
    ],
)
def test_invalid_keys_are_ignored(keys: Any) -> None:
    assert code_of(JwtAuthenticator(JwksKey(Issuer(keys).cache())), token("r")) == Code.AUTH_FAILED


def test_an_issuer_with_an_invalid_response_is_unavailable() -> None:
    answers: tuple[object, ...] = (None, 7, {}, {"keys": None}, {"keys": 7}, {"keys": "nonsense"})
    for answer in answers:
        tokens = JwtAuthenticator(JwksKey(JwksCache(partial(dict.get, {"answer": answer}, "answer"))))
        assert code_of(tokens, token("r")) == Code.AUTH_UNAVAILABLE
