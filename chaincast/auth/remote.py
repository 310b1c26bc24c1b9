"""Authentication by a team's own auth service.

    GET {service_url}{verify_path}            Authorization: Bearer TOKEN
    200  {"user": {"id": "ann", "email": …}}  (or inside `data`, or the user alone; `userId` or `sub` instead of `id`)

400, 401, 403 and 404 mean that the token is invalid. Any other response, or none in time, means that the service is
unavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from chaincast.auth.circuit_breaker import CircuitBreaker
from chaincast.auth.jwt import check_token_length, user_from_claims
from chaincast.errors import Code, RequestError
from chaincast.policy.premium_topics import Premium
from chaincast.protocol.commands import User

_INVALID_TOKEN_STATUSES = (400, 401, 403, 404)
_WRAPPERS = ("data", "user")
"""Members that may contain the user: nested in this order, one of them, or none."""
_ID_MEMBERS = ("id", "userId", "user_id", "sub")


class ServiceResponse(NamedTuple):
    """An HTTP response. `document` is None if the body is not JSON."""

    status: int
    document: Any


class RemoteAuthenticator:
    """Verifies tokens by a request to an auth service.

    `request` makes the request for a token, and raises `OSError` if there is no response.
    """

    def __init__(
        self, request: Callable[[str], ServiceResponse], premium: Premium, breaker: CircuitBreaker | None = None
    ) -> None:
        self._request = request
        self._premium = premium
        self._breaker = breaker or CircuitBreaker()

    def authenticate(self, token: str) -> User:
        """Return the user of a token. Raises `RequestError` with AUTH_FAILED or AUTH_UNAVAILABLE."""
        check_token_length(token)
        if not self._breaker.allows_request():
            raise _unavailable()
        try:
            status, document = self._request(token)
        except OSError:
            self._breaker.record_failure()
            raise _unavailable() from None
        if status in _INVALID_TOKEN_STATUSES:
            self._breaker.record_success()
            raise RequestError(Code.AUTH_FAILED, "Invalid token: the auth service does not accept it")
        claims = _claims(document) if status == 200 else None
        if claims is None:
            self._breaker.record_failure()
            raise _unavailable()
        self._breaker.record_success()
        return user_from_claims(claims, self._premium)


def _claims(document: Any) -> Mapping[str, Any] | None:
    """Return the members of the user, with the id as `sub`; None if the document contains no user."""
    user = document
    for wrapper in _WRAPPERS:
        if isinstance(user, Mapping) and isinstance(user.get(wrapper), Mapping):
            user = user[wrapper]
    if not isinstance(user, Mapping):
        return None
    user_id = next((user[name] for name in _ID_MEMBERS if isinstance(user.get(name), (str, int))), None)
    if user_id is None or isinstance(user_id, bool):
        return None
    if document.get("valid") is False or document.get("success") is False:
        return None
    return {**user, "sub": str(user_id), "exp": user.get("exp", document.get("exp"))}


def _unavailable() -> RequestError:
    return RequestError(Code.AUTH_UNAVAILABLE, "tokens cannot be checked now: the auth service does not respond; retry")
