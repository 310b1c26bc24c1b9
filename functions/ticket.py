"""`POST /ticket`: for a token in the `Authorization` header, a ticket that connects its user once, from a URL.

A page calls this before it connects; so it answers to the pages that may connect, and to no others (CORS).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response

from chaincast.auth.factory import make_authenticator
from chaincast.auth.tickets import TICKET_SECONDS, Tickets
from chaincast.auth.token_extraction import token_of
from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code
from chaincast.http_api.documents import TicketDocument
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.policy.origin_policy import Access

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("ticket")
telemetry = Telemetry("ticket")
routes = Routes(telemetry, logger)
app = routes.app

settings = Settings.from_environment()
authenticator = make_authenticator(settings)
access = Access(settings.origins, settings.allow_ips, settings.deny_ips)
tickets = Tickets(boto_clients.dynamodb(), environment.name_of(environment.STATE))


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@telemetry.watched
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    return routes.resolve(event, context)


@app.route("/ticket", "OPTIONS", include_in_schema=False)
def may_ask() -> Response[Any]:
    """A browser's preflight."""
    _check_access()
    return json_response(204, None, _headers())


@app.post("/ticket", summary="For the token in Authorization, a ticket to connect with")
def post_ticket() -> Response[TicketDocument]:
    _check_access()
    given = {name.lower(): value for name, value in app.current_event.headers.items()}
    token = token_of(given, {}, cookie="", in_query=False)
    if not token:
        raise ClientError(Code.AUTH_REQUIRED, "whose? Send the header Authorization: Bearer TOKEN")
    user = authenticator.user_of(token)
    if user is None:
        raise ClientError(Code.AUTH_UNAVAILABLE, "this deployment asks nobody for a token: connect without")
    telemetry.authenticated()
    ticket = tickets.issue(user, int(time.time() * 1000))
    telemetry.count("TicketsIssued")
    return json_response(200, {"ticket": ticket, "expires_in": TICKET_SECONDS}, _headers())


def refused(error: ClientError) -> Response[Any]:
    """A refusal that the page may read, unless the page is what is refused."""
    return routes.error_response(error, {"vary": "origin"} if error.code is Code.FORBIDDEN_ORIGIN else _headers())


routes.on_error(ClientError, refused)
routes.on_error(Exception, lambda error: routes.internal_error(error, _headers()))


def _check_access() -> None:
    access.check(app.current_event.headers.get("origin", ""), app.current_event["requestContext"]["http"]["sourceIp"])


def _headers() -> dict[str, str]:
    """What a page of the request's origin may read; any other page's browser keeps it from it."""
    headers = {"cache-control": "no-store", "vary": "origin"}
    if origin := app.current_event.headers.get("origin", ""):
        headers |= {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization",
            "access-control-max-age": "600",
        }
    return headers
