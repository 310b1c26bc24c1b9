"""Handles `POST /ticket`: issues a ticket for the token in the `Authorization` header.

Pages call this before they connect. Therefore the responses have CORS headers for the origins that may connect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response

from chaincast.auth.jwt import Authenticator
from chaincast.auth.tickets import TICKET_SECONDS
from chaincast.auth.token_extraction import extract_token
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.http_api.documents import TicketDocument
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.policy.origin_policy import Access
from chaincast.protocol.commands import User


class TicketIssuer(Protocol):
    """Issues tickets (chaincast/auth/tickets.py)."""

    def issue(self, user: User, now_ms: int) -> str: ...


class TicketHandler:
    """Handles requests for tickets. `routes` declares them."""

    def __init__(
        self,
        settings: Settings,
        authenticator: Authenticator,
        tickets: TicketIssuer,
        metrics: MetricsRecorder,
        logger: Logger,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._access = Access(settings.origins, settings.allow_ips, settings.deny_ips)
        self._authenticator = authenticator
        self._tickets = tickets
        self._metrics = metrics
        self._clock = clock
        self.routes = Routes(metrics, logger)
        app = self.routes.app
        app.route("/ticket", "OPTIONS", include_in_schema=False)(self.preflight)
        app.post("/ticket", summary="Exchange the token in Authorization for a ticket to connect with")(
            self.post_ticket
        )
        self.routes.on_error(RequestError, self._error_response)
        self.routes.on_error(Exception, lambda error: self.routes.internal_error(error, self._cors_headers()))

    def preflight(self) -> Response[Any]:
        """Respond to a browser's CORS preflight request."""
        self._check_access()
        return json_response(204, None, self._cors_headers())

    def post_ticket(self) -> Response[TicketDocument]:
        """Issue a ticket."""
        self._check_access()
        headers = {name.lower(): value for name, value in self._request.headers.items()}
        token = extract_token(headers, {}, cookie="", in_query=False)
        if not token:
            raise RequestError(Code.AUTH_REQUIRED, "missing bearer token: send the header Authorization: Bearer TOKEN")
        user = self._authenticator.authenticate(token)
        if user is None:
            raise RequestError(
                Code.AUTH_UNAVAILABLE, "authentication is disabled (auth.mode = 'off'): connect without a token"
            )
        self._metrics.count_authenticated()
        ticket = self._tickets.issue(user, self._clock())
        self._metrics.count("TicketsIssued")
        return json_response(200, {"ticket": ticket, "expires_in": TICKET_SECONDS}, self._cors_headers())

    @property
    def _request(self) -> Any:
        return self.routes.app.current_event

    def _error_response(self, error: RequestError) -> Response[Any]:
        """Return an error response with CORS headers, except when the origin itself is refused."""
        is_origin_refused = error.code is Code.FORBIDDEN_ORIGIN
        return self.routes.error_response(error, {"vary": "origin"} if is_origin_refused else self._cors_headers())

    def _check_access(self) -> None:
        source_ip = self._request["requestContext"]["http"]["sourceIp"]
        self._access.check(self._request.headers.get("origin", ""), source_ip)

    def _cors_headers(self) -> dict[str, str]:
        """Return headers that let pages of the request's origin read the response, and no others."""
        headers = {"cache-control": "no-store", "vary": "origin"}
        if origin := self._request.headers.get("origin", ""):
            headers |= {
                "access-control-allow-origin": origin,
                "access-control-allow-methods": "POST",
                "access-control-allow-headers": "authorization",
                "access-control-max-age": "600",
            }
        return headers
