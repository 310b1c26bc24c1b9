"""Who a token proves somebody to be: JSON Web Tokens (RFC 7519), signed with a secret that their issuer and this
deployment share (HS256)."""

from __future__ import annotations

from collections.abc import Callable

from chaincast.commands import User
from chaincast.errors import ClientError, Code
from chaincast.topics import Topic

LEEWAY_SECONDS = 30
"""By how much clocks may differ."""

MAX_TOKEN = 8_192


class Tokens:
    """Checks tokens; `secret` is asked for when the first one comes."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def user_of(self, token: str) -> User:
        """Whose it is (`sub`). Raises `ClientError` with `AUTH_FAILED`: what is wrong with it, never the token."""
        import jwt  # most connections never show a token

        if len(token) > MAX_TOKEN:
            raise _invalid(f"it has {len(token)} characters; at most {MAX_TOKEN}")
        try:
            claims = jwt.decode(
                token,
                self._secret(),
                algorithms=["HS256"],
                leeway=LEEWAY_SECONDS,
                options={"require": ["sub", "exp"], "verify_aud": False},
            )
            Topic.parse(f"user:{claims['sub']}")
        except jwt.PyJWTError as error:
            raise _invalid(str(error)) from None
        except ClientError:
            raise _invalid("its sub cannot be a topic's part") from None
        email = claims.get("email")
        return User(claims["sub"], email if isinstance(email, str) else "")


class Unchecked:
    """Where nobody is asked for a token: whoever shows one is nobody in particular."""

    def user_of(self, token: str) -> User | None:
        return None


def make_authenticator(mode: str, secret: Callable[[], str]) -> Tokens | Unchecked:
    """What checks tokens where `auth.mode` is this."""
    return Unchecked() if mode == "off" else Tokens(secret)


def _invalid(why: str) -> ClientError:
    return ClientError(Code.AUTH_FAILED, f"Invalid token: {why}")
