"""`[auth]`: how clients are authenticated."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from chaincast.config.section import Section


def _https(value: str) -> str:
    if value and not re.match(r"https://|http://(127\.0\.0\.1|localhost)[:/]", value):
        raise ValueError("tokens and keys need https://; only http://127.0.0.1 and http://localhost may do without")
    return value


class Auth(Section):
    """JSON Web Tokens of clients (docs/dialects.md describes how each protocol carries them)."""

    mode: Literal["off", "optional", "required"] = Field(
        "off",
        description="`off`: no authentication and no private topics; `optional`: a token gives a connection its user "
        "and thereby private topics; `required`: connections without a token are refused",
    )
    jwks_url: Annotated[str, AfterValidator(_https)] = Field(
        "",
        description="URL of the issuer's public keys (JWKS); tokens must be signed with one of them (RS256, ES256, "
        "EdDSA) instead of the shared secret",
    )
    issuer: str = Field("", description="required issuer (`iss`) of tokens; empty: any")
    audience: tuple[str, ...] = Field((), description="accepted audiences (`aud`) of tokens; empty: any")
    service_url: Annotated[str, AfterValidator(_https)] = Field(
        "",
        description="base URL of a service that verifies tokens, instead of keys or a secret (`AUTH_SERVICE_URL`; "
        "docs/security.md)",
    )
    verify_path: str = Field(
        "/api/v1/auth/verify", description="path of that service's verification endpoint", pattern=r"^/[\w./~-]*$"
    )
    grace_seconds: Annotated[int, Field(ge=0, le=900)] = Field(
        60, description="seconds that a connection has to send a new token after its token has expired"
    )
    cookie: str = Field("", description="name of a cookie that may carry the token", pattern=r"^[\w.-]{0,64}$")
    allow_query_token: bool = Field(
        False, description="accept `?token=` in the URL; proxies and servers may log such URLs"
    )
    secret: str = Field(
        "",
        description="name of the secret in AWS Secrets Manager that tokens are signed with (HS256, at least 32 bytes); "
        "if empty, the stack creates one (output `JwtSecret`)",
    )

    @model_validator(mode="after")
    def _check(self) -> Auth:
        if self.service_url and (self.jwks_url or self.secret):
            raise ValueError("service_url cannot be combined with jwks_url or secret: keep one of the three")
        return self
