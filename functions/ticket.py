"""`POST /ticket`: for a token in the `Authorization` header, a ticket that connects its user once, from a URL.

A page calls this before it connects; so it answers to the pages that may connect, and to no others (CORS).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from aws_lambda_powertools import Metrics

from chaincast.access import Access
from chaincast.aws import clients, resources
from chaincast.aws.authenticators import make_authenticator
from chaincast.aws.logger import make_logger
from chaincast.aws.tickets import TICKET_SECONDS, Tickets
from chaincast.credentials import token_of
from chaincast.errors import ClientError, Code
from chaincast.settings import Settings
from functions.answers import FAULT, error_document, json_answer
from functions.events import HttpAnswer, HttpEvent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("ticket")
metrics = Metrics(namespace="Chaincast", service="ticket")

settings = Settings.from_environment()
authenticator = make_authenticator(settings)
access = Access(settings.origins, settings.allow_ips, settings.deny_ips)
tickets = Tickets(clients.dynamodb(), resources.name_of(resources.STATE))

_STATUS = {
    Code.AUTH_REQUIRED: 401,
    Code.AUTH_FAILED: 401,
    Code.AUTH_UNAVAILABLE: 503,
    Code.FORBIDDEN_ORIGIN: 403,
    Code.FORBIDDEN_ADDRESS: 403,
}


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics
def handler(event: HttpEvent, context: LambdaContext) -> HttpAnswer:
    headers = {name.lower(): value for name, value in event.get("headers", {}).items()}
    origin = headers.get("origin", "")
    metrics.add_metric(name="Requests", unit="Count", value=1)
    try:
        access.check(origin, event["requestContext"]["http"]["sourceIp"])
        if event["routeKey"].startswith("OPTIONS "):
            return _answer(204, None, origin)
        token = token_of(headers, {}, cookie="", in_query=False)
        if not token:
            raise ClientError(Code.AUTH_REQUIRED, "whose? Send the header Authorization: Bearer TOKEN")
        user = authenticator.user_of(token)
        if user is None:
            raise ClientError(Code.AUTH_UNAVAILABLE, "this deployment asks nobody for a token: connect without")
        ticket = tickets.issue(user, int(time.time() * 1000))
    except ClientError as error:
        metrics.add_metric(name="TicketsRefused", unit="Count", value=1)
        metrics.add_metadata("code", error.code.value)
        forbidden = error.code is Code.FORBIDDEN_ORIGIN
        return _answer(_STATUS.get(error.code, 400), error_document(error), "" if forbidden else origin)
    except Exception:
        logger.exception("request failed")
        return _answer(500, FAULT, origin)
    metrics.add_metric(name="TicketsIssued", unit="Count", value=1)
    return _answer(200, {"ticket": ticket, "expires_in": TICKET_SECONDS}, origin)


def _answer(status: int, document: object, origin: str) -> HttpAnswer:
    """What a page of `origin` may read; any other page's browser keeps it from it."""
    headers = {"cache-control": "no-store", "vary": "origin"}
    if origin:
        headers |= {
            "access-control-allow-origin": origin,
            "access-control-allow-methods": "POST",
            "access-control-allow-headers": "authorization",
            "access-control-max-age": "600",
        }
    return json_answer(status, document, headers)
