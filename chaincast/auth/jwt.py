"""Authentication by JSON Web Tokens (RFC 7519).

Tokens are signed with a secret that the issuer and this deployment share (HS256), or with the issuer's private key,
whose public key it publishes (RS256, ES256, EdDSA). The configuration decides which, never the token.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from chaincast.errors import Code, RequestError
from chaincast.model.topics import Topic
from chaincast.policy.premium_topics import Premium
from chaincast.protocol.commands import User

if TYPE_CHECKING:
    from jwt import PyJWK

    from chaincast.auth.jwks import JwksCache

LEEWAY_SECONDS = 30
"""Maximum difference between the issuer's clock and ours, in seconds."""

MAX_TOKEN_CHARS = 8_192
"""Maximum length of a token, in characters."""

_MAX_EXPIRY = 1 << 40
"""Maximum expiry (s since 1970) that is recorded, so that it fits all clients' integers."""

NO_PREMIUM_TOPICS = Premium()

VerificationKey: TypeAlias = "tuple[str | PyJWK, Sequence[str]]"
"""A key, and the algorithms that it may be used with."""


class Authenticator(Protocol):
    """Verifies tokens."""

    def authenticate(self, token: str) -> User | None:
        """Return the user of a token; None if authentication is off.

        Raises `RequestError` with AUTH_FAILED or AUTH_UNAVAILABLE.
        """
        ...


class SigningKey(Protocol):
    """The key that tokens are signed with."""

    def verification_key(self, token: str) -> VerificationKey:
        """Return the key that verifies a token's signature. Raises `RequestError` or `jwt.PyJWTError`."""
        ...


class SharedSecretKey:
    """A shared secret. `secret` returns it; it is called with the first token."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def verification_key(self, token: str) -> VerificationKey:
        """Return the secret."""
        return self._secret(), ("HS256",)


class JwksKey:
    """A key of the issuer's key set. The key determines the algorithm."""

    def __init__(self, keys: JwksCache) -> None:
        self._keys = keys

    def verification_key(self, token: str) -> VerificationKey:
        """Return the public key that the token's header names."""
        import jwt  # imported here, because most connections send no token

        key_id = jwt.get_unverified_header(token).get("kid")
        key = self._keys.get(key_id if isinstance(key_id, str) else None)
        return key, (key.algorithm_name,)


class JwtAuthenticator:
    """Verifies JSON Web Tokens. `issuer` and `audience`: required values of `iss` and `aud`, if not empty."""

    def __init__(
        self, key: SigningKey, issuer: str = "", audience: Sequence[str] = (), premium: Premium = NO_PREMIUM_TOPICS
    ) -> None:
        self._key = key
        self._premium = premium
        self._issuer = issuer
        self._audience = audience

    def authenticate(self, token: str) -> User:
        """Return the user that a token names in `sub`.

        Raises `RequestError` with AUTH_FAILED, whose message says what is wrong and never quotes the token, or with
        AUTH_UNAVAILABLE if the token cannot be verified now.
        """
        import jwt  # imported here, because most connections send no token

        check_token_length(token)
        try:
            key, algorithms = self._key.verification_key(token)
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
    """The authenticator of deployments without authentication: tokens are ignored."""

    def authenticate(self, token: str) -> User | None:
        """Return None: every connection is anonymous."""
        return None


def authenticate_or_anonymous(authenticator: Authenticator, token: str, mode: str) -> User | None:
    """Authenticate the token of a handshake; `mode` is `auth.mode` of the configuration.

    In mode `optional`, an unavailable auth service yields an anonymous connection (None) instead of an error. Raises
    `RequestError` otherwise.
    """
    try:
        return authenticator.authenticate(token)
    except RequestError as error:
        if mode == "optional" and error.code is Code.AUTH_UNAVAILABLE:
            return None
        raise


def check_token_length(token: str) -> None:
    """Raise `RequestError` with AUTH_FAILED if a token is too long."""
    if len(token) > MAX_TOKEN_CHARS:
        raise _invalid(f"it has {len(token)} characters; at most {MAX_TOKEN_CHARS}")


def user_from_claims(claims: Mapping[str, Any], premium: Premium) -> User:
    """Return the user that claims (`sub`, `exp`, `email`) describe.

    Raises `RequestError` with AUTH_FAILED if `sub` cannot be part of a topic.
    """
    try:
        Topic.parse(f"user:{claims['sub']}")
    except RequestError:
        raise _invalid("its sub cannot be part of a topic") from None
    email, expiry = claims.get("email"), claims.get("exp")
    return User(
        claims["sub"],
        email if isinstance(email, str) else "",
        expires_at=min(max(int(expiry), 1), _MAX_EXPIRY) if isinstance(expiry, (int, float)) else 0,
        premium=bool(premium.topics) and premium.allows(claims),
    )


def _invalid(reason: str) -> RequestError:
    return RequestError(Code.AUTH_FAILED, f"Invalid token: {reason}")
