"""Making what checks clients' tokens, from a function's settings and environment."""

from __future__ import annotations

import urllib.request
from typing import Any

import orjson

from chaincast.auth import Issued, Shared, Tokens, Unchecked
from chaincast.aws import resources
from chaincast.aws.secrets import secret
from chaincast.keys import Keys
from chaincast.settings import Settings

MIN_SECRET_BYTES = 32
"""RFC 7518, 3.2: a key of the hash's size or larger."""

TIMEOUT = 3.0
MAX_BYTES = 1_000_000


def make_authenticator(settings: Settings) -> Tokens | Unchecked:
    """What checks tokens in this deployment."""
    if settings.auth == "off":
        return Unchecked()
    if not settings.auth_jwks_url:
        return Tokens(Shared(_secret), settings.auth_issuer, settings.auth_audience)
    keys = Keys(lambda: _fetch(settings.auth_jwks_url))
    return Tokens(Issued(keys), settings.auth_issuer, settings.auth_audience)


def _secret() -> str:
    """The shared secret. Raises ValueError if it is too short to be one."""
    value = secret(resources.JWT_SECRET)
    if len(value.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"the secret of auth.secret has {len(value.encode())} bytes; at least {MIN_SECRET_BYTES}")
    return value


def _fetch(url: str) -> Any:
    """A JSON document; raises OSError or ValueError. The URL is the configuration's, and https."""
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
        return orjson.loads(answer.read(MAX_BYTES))
