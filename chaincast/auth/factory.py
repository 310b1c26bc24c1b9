"""Making what checks clients' tokens, from a function's settings and environment."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Any

import orjson

from chaincast.auth.jwks import JwksCache
from chaincast.auth.jwt import JwksKey, JwtAuthenticator, NoAuth, SharedSecretKey
from chaincast.auth.remote import RemoteAuthenticator, ServiceResponse
from chaincast.aws import environment
from chaincast.aws.secrets import secret
from chaincast.config.function_settings import Settings

MIN_SECRET_BYTES = 32
"""RFC 7518, 3.2: a key of the hash's size or larger."""

TIMEOUT = 3.0
ASK_SECONDS = 2.0
"""How long a connection waits for an auth service: as long as a person would."""

MAX_BYTES = 1_000_000


def make_authenticator(settings: Settings) -> JwtAuthenticator | RemoteAuthenticator | NoAuth:
    """What checks tokens in this deployment."""
    premium = settings.premium
    if settings.auth == "off":
        return NoAuth()
    if settings.auth_service:
        return RemoteAuthenticator(lambda token: _ask(settings.auth_service, token), premium)
    signer = (
        JwksKey(JwksCache(lambda: _fetch(settings.auth_jwks_url)))
        if settings.auth_jwks_url
        else SharedSecretKey(_secret)
    )
    return JwtAuthenticator(signer, settings.auth_issuer, settings.auth_audience, premium)


def _secret() -> str:
    """The shared secret. Raises ValueError if it is too short to be one."""
    value = secret(environment.JWT_SECRET)
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret of auth.secret has {len(value.encode())} bytes; at least {MIN_SECRET_BYTES}")
    return value


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the token to another host."""

    def redirect_request(self, *_: object) -> None:
        return None


def _ask(url: str, token: str) -> ServiceResponse:
    """What the auth service says; raises OSError. The URL is the configuration's, and https."""
    if not token.isascii() or not token.isprintable():
        return ServiceResponse(401, None)  # nothing that a header can carry
    opener = urllib.request.build_opener(_NoRedirects)
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}", "accept": "application/json"})
    try:
        with opener.open(request, timeout=ASK_SECONDS) as answer:
            return ServiceResponse(answer.status, _json(answer.read(MAX_BYTES)))
    except urllib.error.HTTPError as error:
        with error:
            return ServiceResponse(error.code, None)
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _fetch(url: str) -> Any:
    """A JSON document; raises OSError or ValueError. The URL is the configuration's, and https."""
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        return orjson.loads(answer.read(MAX_BYTES))
