"""Asking a team's own auth service whose a token is.

GET {service_url}{verify_path}            Authorization: Bearer TOKEN
200  {"user": {"id": "ann", "email": …}}  (or in `data`, or the user alone; `userId` or `sub` will do for `id`)
400, 401, 403, 404: the token is not good. Anything else, or no answer in time: nobody knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chaincast.auth.circuit_breaker import CircuitBreaker
from chaincast.auth.jwt import check_token_length, user_from_claims
from chaincast.errors import ClientError, Code
from chaincast.policy.premium_topics import Premium
from chaincast.protocol.commands import User

_REFUSED = (400, 401, 403, 404)
_PLACES = ("data", "user")
"""One in the other, or one of them, or neither."""
_IDS = ("id", "userId", "user_id", "sub")


class ServiceResponse(NamedTuple):
    """An HTTP answer; `document` is None where the body was no JSON."""

    status: int
    document: Any


class RemoteAuthenticator:
    """Tokens are checked by a service. `ask` makes the request, and raises OSError where there is no answer."""

    def __init__(
        self, ask: Callable[[str], ServiceResponse], premium: Premium, breaker: CircuitBreaker | None = None
    ) -> None:
        self._ask = ask
        self._premium = premium
        self._breaker = breaker or CircuitBreaker()

    def authenticate(self, token: str) -> User:
        """Whose it is. Raises `ClientError`: AUTH_FAILED; AUTH_UNAVAILABLE if the service does not say."""
        check_token_length(token)
        if not self._breaker.allows_request():
            raise _unavailable()
        try:
            status, document = self._ask(token)
        except OSError:
            self._breaker.failed()
            raise _unavailable() from None
        if status in _REFUSED:
            self._breaker.answered()
            raise ClientError(Code.AUTH_FAILED, "Invalid token: the auth service does not accept it")
        claims = _claims(document) if status == 200 else None
        if claims is None:
            self._breaker.failed()
            raise _unavailable()
        self._breaker.answered()
        return user_from_claims(claims, self._premium)


def _claims(document: Any) -> Mapping[str, Any] | None:
    """What the service says of a user, his id as `sub`; None if it is nothing that can be understood."""
    top = found = document
    for place in _PLACES:
        if isinstance(found, Mapping) and isinstance(found.get(place), Mapping):
            found = found[place]
    if not isinstance(found, Mapping):
        return None
    id_ = next((found[name] for name in _IDS if isinstance(found.get(name), (str, int))), None)
    if id_ is None or isinstance(id_, bool) or top.get("valid") is False or top.get("success") is False:
        return None
    exp = found.get("exp", top.get("exp"))
    return {**found, "sub": str(id_), "exp": exp}


def _unavailable() -> ClientError:
    return ClientError(Code.AUTH_UNAVAILABLE, "tokens cannot be checked now: the auth service does not answer")
