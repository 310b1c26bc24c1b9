"""`[auth]`: who clients must be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from chaincast.config.section import Section


class Auth(Section):
    """JSON Web Tokens of clients (docs/dialects.md says how each protocol carries them)."""

    mode: Literal["off", "optional", "required"] = Field(
        "off",
        description="`off`: nobody is asked, and there are no private topics; `optional`: a token gives a connection "
        "its user, and with it private topics; `required`: without one there is nothing",
    )
    cookie: str = Field("", description="name of a cookie that carries the token, too", pattern=r"^[\w.-]{0,64}$")
    query: bool = Field(False, description="whether `?token=` counts: it ends up in logs on the way")
    secret: str = Field(
        "",
        description="name of the secret in AWS Secrets Manager that tokens are signed with (HS256, at least 32 bytes); "
        "the stack makes one where none is named (output `JwtSecret`)",
    )
