"""Checks whether tokens can be verified at this moment."""

from __future__ import annotations

from base64 import b64encode
from typing import Protocol

import orjson
from aws_lambda_powertools import Logger

from chaincast.auth.jwt import Authenticator
from chaincast.errors import Code, RequestError


class TokenCheck(Protocol):
    """Returns True if tokens can be verified, and None if authentication is off."""

    def __call__(self) -> bool | None: ...


def make_token_check(authenticator: Authenticator, mode: str, algorithm: str, logger: Logger) -> TokenCheck:
    """Return a check that verifies a token of no user, for which the verifier needs its key.

    `mode`: `auth.mode` of the configuration. `algorithm`: an algorithm that the authenticator accepts.
    """
    parts: tuple[dict[str, str], ...] = ({"alg": algorithm, "kid": "health"}, {"sub": "health"}, {})
    probe = ".".join(b64encode(orjson.dumps(part), b"-_").decode().rstrip("=") for part in parts)

    def check() -> bool | None:
        if mode == "off":
            return None
        try:
            authenticator.authenticate(probe)
        except RequestError as error:
            return error.code is not Code.AUTH_UNAVAILABLE
        except Exception:  # the secret cannot be read, for whatever reason
            logger.exception("tokens cannot be verified")
            return False
        return True

    return check
