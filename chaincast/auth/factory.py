"""Builds the authenticator of a deployment, and makes its HTTP requests."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import orjson

from chaincast.auth.jwks import JwksCache
from chaincast.auth.jwt import JwksKey, JwtAuthenticator, NoAuth, SharedSecretKey
from chaincast.auth.remote import RemoteAuthenticator, ServiceResponse
from chaincast.config.function_settings import Settings

MIN_SECRET_BYTES = 32
"""Minimum length of a shared secret: the size of the hash (RFC 7518, 3.2)."""

JWKS_TIMEOUT_SECONDS = 3.0
SERVICE_TIMEOUT_SECONDS = 2.0
"""Timeout of a request to an auth service, in seconds: a client waits for it in its handshake."""

MAX_RESPONSE_BYTES = 1_000_000


def make_authenticator(
    settings: Settings, jwt_secret: Callable[[], str]
) -> JwtAuthenticator | RemoteAuthenticator | NoAuth:
    """Return the authenticator that the settings name.

    `jwt_secret` returns the shared secret. It is called with the first token, and only if tokens are signed with it.
    """
    premium = settings.premium
    if settings.auth == "off":
        return NoAuth()
    if settings.auth_service:
        return RemoteAuthenticator(lambda token: _verify_remotely(settings.auth_service, token), premium)
    key = (
        JwksKey(JwksCache(lambda: _fetch_json(settings.auth_jwks_url)))
        if settings.auth_jwks_url
        else SharedSecretKey(lambda: _checked_secret(jwt_secret()))
    )
    return JwtAuthenticator(key, settings.auth_issuer, settings.auth_audience, premium)


def _checked_secret(secret: str) -> str:
    """Return the secret. Raises `ValueError` if it is too short."""
    length = len(secret.encode())
    if length < MIN_SECRET_BYTES:
        raise ValueError(f"the secret of auth.secret has {length} bytes; at least {MIN_SECRET_BYTES}: use a longer one")
    return secret


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects, which would send the token to another host."""

    def redirect_request(self, *_: object) -> None:
        return None


def _verify_remotely(url: str, token: str) -> ServiceResponse:
    """Ask the auth service about a token. Raises `OSError`. The URL is from the configuration and uses https."""
    if not token.isascii() or not token.isprintable():
        return ServiceResponse(401, None)  # a header cannot carry such a token
    opener = urllib.request.build_opener(_NoRedirects)
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}", "accept": "application/json"})
    try:
        with opener.open(request, timeout=SERVICE_TIMEOUT_SECONDS) as response:
            return ServiceResponse(response.status, _parse_json(response.read(MAX_RESPONSE_BYTES)))
    except urllib.error.HTTPError as error:
        with error:
            return ServiceResponse(error.code, None)
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None


def _parse_json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _fetch_json(url: str) -> Any:
    """Return a JSON document. Raises `OSError` or `ValueError`. The URL is from the configuration and uses https."""
    with urllib.request.urlopen(url, timeout=JWKS_TIMEOUT_SECONDS) as response:
        return orjson.loads(response.read(MAX_RESPONSE_BYTES))
