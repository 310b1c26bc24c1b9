"""Who a token proves somebody to be: JSON Web JwtAuthenticator (RFC 7519).

They are signed with a secret that their issuer and this deployment share (HS256), or with the issuer's own key, whose
public half it serves (RS256, ES256, EdDSA). Which of the two the configuration says, never the token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from chaincast.errors import ClientError, Code
from chaincast.model.topics import Topic
from chaincast.policy.premium_topics import Premium
from chaincast.protocol.commands import User

if TYPE_CHECKING:
    from jwt import PyJWK

    from chaincast.auth.jwks import JwksCache

LEEWAY_SECONDS = 30
"""By how much clocks may differ."""

MAX_TOKEN = 8_192
_FAR = 1 << 40
"""Seconds; later is never."""

NOTHING_PREMIUM = Premium()

Verifier: TypeAlias = "tuple[str | PyJWK, Sequence[str]]"
"""A key, and the algorithms that it may be used with."""


class Authenticator(Protocol):
    """Who a token proves somebody to be."""

    def authenticate(self, token: str) -> User | None:
        """None where tokens are not asked for. Raises `ClientError` with `AUTH_FAILED`."""
        ...


class Signer(Protocol):
    """Whoever tokens are signed by."""

    def verifier(self, token: str) -> Verifier:
        """What a token's signature is to be checked with. Raises `ClientError` or `jwt.PyJWTError`."""
        ...


class SharedSecretKey:
    """Signed with a shared secret; it is asked for when the first token comes."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def verifier(self, token: str) -> Verifier:
        return self._secret(), ("HS256",)


class JwksKey:
    """Signed with an issuer's own key; the key says with which algorithm."""

    def __init__(self, keys: JwksCache) -> None:
        self._keys = keys

    def verifier(self, token: str) -> Verifier:
        import jwt  # most connections never show a token

        kid = jwt.get_unverified_header(token).get("kid")
        key = self._keys.of(kid if isinstance(kid, str) else None)
        return key, (key.algorithm_name,)


class JwtAuthenticator:
    """Checks tokens. `issuer` and `audience`: who must have issued them and for whom, if anybody is named."""

    def __init__(
        self, signer: Signer, issuer: str = "", audience: Sequence[str] = (), premium: Premium = NOTHING_PREMIUM
    ) -> None:
        self._signer = signer
        self._premium = premium
        self._issuer = issuer
        self._audience = audience

    def authenticate(self, token: str) -> User:
        """Whose it is (`sub`). Raises `ClientError`: AUTH_FAILED, saying what is wrong with it and never the token;
        AUTH_UNAVAILABLE if it cannot be checked."""
        import jwt  # most connections never show a token

        check_token_length(token)
        try:
            key, algorithms = self._signer.verifier(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                leeway=LEEWAY_SECONDS,
                issuer=self._issuer or None,
                audience=self._audience or None,
                options={"require": ["sub", "exp"], "verify_aud": bool(self._audience)},
            )
        except jwt.PyJWTError as error:
            raise _invalid(str(error)) from None
        return user_from_claims(claims, self._premium)


class NoAuth:
    """Where nobody is asked for a token: whoever shows one is nobody in particular."""

    def authenticate(self, token: str) -> User | None:
        return None


def authenticate_or_anonymous(authenticator: Authenticator, token: str, mode: str) -> User | None:
    """Whose a token is that came with the first words of a connection. Raises `ClientError`; but where nobody has to
    show one, a service that cannot say is no reason to let nobody in."""
    try:
        return authenticator.authenticate(token)
    except ClientError as error:
        if mode == "optional" and error.code is Code.AUTH_UNAVAILABLE:
            return None
        raise


def check_token_length(token: str) -> None:
    """Raises `ClientError` with AUTH_FAILED for what is too long to be looked at."""
    if len(token) > MAX_TOKEN:
        raise _invalid(f"it has {len(token)} characters; at most {MAX_TOKEN}")


def user_from_claims(claims: Mapping[str, Any], premium: Premium) -> User:
    """The user that claims (`sub`, `exp`, `email`) are about. Raises `ClientError` with AUTH_FAILED."""
    try:
        Topic.parse(f"user:{claims['sub']}")
    except ClientError:
        raise _invalid("its sub cannot be a topic's part") from None
    email, exp = claims.get("email"), claims.get("exp")
    return User(
        claims["sub"],
        email if isinstance(email, str) else "",
        until=min(max(int(exp), 1), _FAR) if isinstance(exp, (int, float)) else 0,
        premium=bool(premium.topics) and premium.allows(claims),
    )


def _invalid(why: str) -> ClientError:
    return ClientError(Code.AUTH_FAILED, f"Invalid token: {why}")
