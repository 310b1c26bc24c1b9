"""`[auth]`: who clients must be."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from chaincast.config.section import Section


def _https(value: str) -> str:
    if value and not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", value):
        raise ValueError("an https:// URL, as tokens and keys are at stake (on this machine http://127.0.0.1 will do)")
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
    service_url: Annotated[str, AfterValidator(_https)] = Field(
        "", description="a service that is asked about tokens, instead (`AUTH_SERVICE_URL`; docs/security.md)"
    )
    verify_path: str = Field("/api/v1/auth/verify", description="where it is asked", pattern=r"^/[\w./~-]*$")
    grace_seconds: Annotated[int, Field(ge=0, le=900)] = Field(
        60, description="how long a connection whose token ended may take to show a fresh one"
    )
    cookie: str = Field("", description="name of a cookie that carries the token, too", pattern=r"^[\w.-]{0,64}$")
    allow_query_token: bool = Field(False, description="whether `?token=` counts: it ends up in logs on the way")
    secret: str = Field(
        "",
        description="name of the secret in AWS Secrets Manager that tokens are signed with (HS256, at least 32 bytes); "
        "the stack makes one where none is named (output `JwtSecret`)",
    )

    @model_validator(mode="after")
    def _check(self) -> Auth:
        if self.service_url and (self.jwks_url or self.secret):
            raise ValueError("service_url says that a service checks tokens: then not jwks_url or secret, too")
        return self
