"""`[auth]`: who clients must be."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from chaincast.config.section import Section


def _https(value: str) -> str:
    if value and not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", value):
        raise ValueError("keys are fetched from an https:// URL (on this machine http://127.0.0.1 will do)")
    return value


class Auth(Section):
    """JSON Web Tokens of clients (docs/dialects.md says how each protocol carries them)."""

    mode: Literal["off", "optional", "required"] = Field(
        "off",
        description="`off`: nobody is asked, and there are no private topics; `optional`: a token gives a connection "
        "its user, and with it private topics; `required`: without one there is nothing",
    )
    jwks_url: Annotated[str, AfterValidator(_https)] = Field(
        "",
        description="where the issuer serves its public keys (JWKS): tokens are signed by those (RS256, ES256, EdDSA) "
        "and not with a secret",
    )
    issuer: str = Field("", description="who must have issued tokens (`iss`), if anybody is named")
    audience: tuple[str, ...] = Field((), description="for whom they must be (`aud`), if anybody is named")
    cookie: str = Field("", description="name of a cookie that carries the token, too", pattern=r"^[\w.-]{0,64}$")
    query: bool = Field(False, description="whether `?token=` counts: it ends up in logs on the way")
    secret: str = Field(
        "",
        description="name of the secret in AWS Secrets Manager that tokens are signed with (HS256, at least 32 bytes); "
        "the stack makes one where none is named (output `JwtSecret`)",
    )
