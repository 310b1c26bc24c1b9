"""`$connect`: choose the dialect, record the connection, order its greeting.

The greeting cannot go out from here: API Gateway opens the connection only after this function has answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chaincast.auth.factory import make_authenticator
from chaincast.auth.jwt import user_if_known
from chaincast.auth.tickets import Tickets
from chaincast.auth.token_extraction import token_of
from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import WebSocketContext, WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code
from chaincast.jobs.messages import Deadline, Greet
from chaincast.jobs.queue import order
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.policy.origin_policy import Access
from chaincast.policy.rate_limits import owner_of_address
from chaincast.protocol.commands import User
from chaincast.protocol.dialects.negotiation import choose_dialect
from chaincast.sessions.connection_store import Connection, Connections
from chaincast.sessions.identities import Identities
from chaincast.sessions.open_counts import Population
from chaincast.sessions.quota_store import Admission

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("connect")
telemetry = Telemetry("connect")

JOIN_SECONDS = 45
"""What Socket.IO's server gives a client to connect to a namespace (its `connectTimeout`)."""

AUTHENTICATE_SECONDS = 10

_STATUS = {
    Code.FORBIDDEN_ORIGIN: 403,
    Code.FORBIDDEN_ADDRESS: 403,
    Code.AUTH_FAILED: 401,
    Code.AUTH_UNAVAILABLE: 503,
    Code.RATE_LIMITED: 429,
    Code.MAX_CONNECTIONS: 429,
}

settings = Settings.from_environment()
limits = settings.limits
authenticator = make_authenticator(settings)
access = Access(settings.origins, settings.allow_ips, settings.deny_ips)
connections = Connections(boto_clients.dynamodb(), environment.name_of(environment.CONNECTIONS))
admission = Admission(boto_clients.dynamodb(), environment.name_of(environment.STATE), connections)
identities = Identities(connections, admission, limits, order)
population = Population(boto_clients.dynamodb(), environment.name_of(environment.STATE))
tickets = Tickets(boto_clients.dynamodb(), environment.name_of(environment.STATE))


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@telemetry.watched
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketResponse:
    request = event["requestContext"]
    if request["eventType"] != "CONNECT":
        # A message whose `type` is "$connect"; the connection exists already.
        telemetry.count("Misrouted")
        return {"statusCode": 200}
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    query = event.get("queryStringParameters") or {}
    try:
        access.check(headers.get("origin", ""), request["identity"]["sourceIp"])
        choice = choose_dialect(query, headers.get("sec-websocket-protocol", ""))
        user = _let_in(request, headers, query)
    except ClientError as error:
        return _refused(error)
    connection = Connection(
        connection_id=request["connectionId"],
        dialect=choice.dialect,
        source_ip=request["identity"]["sourceIp"],
        origin=headers.get("origin", ""),
        connected_at=request["requestTimeEpoch"],
        user=user.id if user else "",
        user_until=user.until if user else 0,
        premium=user.premium if user else False,
        undecided=choice.undecided,
    )
    connections.put(connection)
    population.came(connection)
    order(Greet(connection.connection_id, connection.dialect))
    if choice.requires_join:
        order(Deadline(connection.connection_id, "joined"), JOIN_SECONDS)
    if user:
        identities.order_expiry(user, connection.connection_id, connection.connected_at)
    elif settings.auth == "required":
        order(Deadline(connection.connection_id, "authenticated"), AUTHENTICATE_SECONDS)
    telemetry.count("ConnectionsOpened", dialect=connection.dialect)
    answer: WebSocketResponse = {"statusCode": 200}
    if choice.subprotocol is not None:
        answer["headers"] = {"Sec-WebSocket-Protocol": choice.subprotocol}
    return answer


def _let_in(request: WebSocketContext, headers: Mapping[str, str], query: Mapping[str, str]) -> User | None:
    """Count the connection, for its address and its user, and say who that is. Raises `ClientError`."""
    connection_id, now = request["connectionId"], request["requestTimeEpoch"]
    owner = owner_of_address(request["identity"]["sourceIp"], limits.exempt_ips) if limits.counts_addresses else ""
    if owner:
        per_minute, at_once = limits.connections_per_minute, limits.connections_per_ip
        admission.enter(owner, connection_id, now, per_minute=per_minute, at_once=at_once)
    try:
        user = _user_of(headers, query, now)
        if user:
            identities.admit(user, connection_id, now)
    except ClientError:
        if owner:
            admission.leave(owner, [connection_id])
        raise
    return user


def _user_of(headers: Mapping[str, str], query: Mapping[str, str], now: int) -> User | None:
    token = token_of(headers, query, cookie=settings.auth_cookie, in_query=settings.auth_query)
    ticket = query.get("ticket", "") if settings.auth != "off" else ""
    if ticket and token:
        raise ClientError(Code.AUTH_FAILED, "a ticket and a token came along, which may be two users': send one")
    if not (ticket or token):
        return None
    user = tickets.redeem(ticket, now) if ticket else user_if_known(authenticator, token, settings.auth)
    if user is not None:
        telemetry.authenticated()
    return user


def _refused(error: ClientError) -> WebSocketResponse:
    telemetry.count("ConnectionsRefused", code=error.code.value)
    telemetry.refused(error)
    answer: WebSocketResponse = {"statusCode": _STATUS.get(error.code, 400), "body": str(error)}
    if "retry_after" in error.details:
        answer["headers"] = {"Retry-After": str(error.details["retry_after"])}
    return answer
