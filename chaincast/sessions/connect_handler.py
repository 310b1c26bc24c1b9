"""Handles `$connect`: admits the client, chooses the dialect, records the connection, enqueues its greeting.

This function cannot send the greeting, because API Gateway opens the connection only after the function has returned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from chaincast.auth.jwt import Authenticator, authenticate_or_anonymous
from chaincast.auth.token_extraction import extract_token
from chaincast.aws.lambda_events import WebSocketContext, WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.jobs.messages import Deadline, Greet, Requirement
from chaincast.jobs.queue import JobQueue
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.policy.origin_policy import Access
from chaincast.policy.rate_limits import owner_of_address
from chaincast.protocol.commands import User
from chaincast.protocol.dialects.negotiation import DialectChoice, choose_dialect
from chaincast.sessions.connection_store import Connection

JOIN_SECONDS = 45
"""Seconds within which a Socket.IO client must join a namespace: the server's default `connectTimeout`."""

AUTHENTICATE_SECONDS = 10
"""Seconds within which a client must authenticate if the deployment requires it."""

_STATUS = {
    Code.FORBIDDEN_ORIGIN: 403,
    Code.FORBIDDEN_ADDRESS: 403,
    Code.AUTH_FAILED: 401,
    Code.AUTH_UNAVAILABLE: 503,
    Code.RATE_LIMITED: 429,
    Code.MAX_CONNECTIONS: 429,
}
"""HTTP status of each error code. The status of all other codes is 400."""


class Records(Protocol):
    """Stores connection records (chaincast/sessions/connection_store.py)."""

    def put(self, connection: Connection) -> None: ...


class OpenConnections(Protocol):
    """Counts open connections (chaincast/sessions/open_connections.py)."""

    def opened(self, connection: Connection) -> None: ...


class Quotas(Protocol):
    """Counts connections by address (chaincast/sessions/quota_store.py)."""

    def admit(self, owner: str, connection_id: str, now_ms: int, *, per_minute: int, at_once: int) -> None: ...

    def release(self, owner: str, connection_ids: Sequence[str]) -> None: ...


class Identities(Protocol):
    """Counts connections by user (chaincast/sessions/identity_service.py)."""

    def admit(self, user: User, connection_id: str, now_ms: int) -> None: ...

    def schedule_expiry(self, user: User, connection_id: str, now_ms: int) -> None: ...


class Tickets(Protocol):
    """Redeems tickets (chaincast/auth/tickets.py)."""

    def redeem(self, ticket: str, now_ms: int) -> User: ...


class ConnectHandler:
    """Handles the handshake of a WebSocket."""

    def __init__(
        self,
        settings: Settings,
        authenticator: Authenticator,
        tickets: Tickets,
        records: Records,
        open_connections: OpenConnections,
        quotas: Quotas,
        identities: Identities,
        jobs: JobQueue,
        metrics: MetricsRecorder,
    ) -> None:
        self._settings = settings
        self._access = Access(settings.origins, settings.allow_ips, settings.deny_ips)
        self._authenticator = authenticator
        self._tickets = tickets
        self._records = records
        self._open_connections = open_connections
        self._quotas = quotas
        self._identities = identities
        self._jobs = jobs
        self._metrics = metrics

    def handle(self, event: WebSocketEvent) -> WebSocketResponse:
        """Accept or refuse a handshake."""
        request = event["requestContext"]
        if request["eventType"] != "CONNECT":
            # A client sent a message with "type": "$connect", which API Gateway routed here.
            self._metrics.count("ReservedRouteMessages")
            return {"statusCode": 200}
        headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
        query = event.get("queryStringParameters") or {}
        try:
            self._access.check(headers.get("origin", ""), request["identity"]["sourceIp"])
            choice = choose_dialect(query, headers.get("sec-websocket-protocol", ""))
            user = self._admit(request, headers, query)
        except RequestError as error:
            return self._refuse(error)
        connection = _connection(request, headers, choice, user)
        self._records.put(connection)
        self._open_connections.opened(connection)
        self._enqueue_jobs(connection, choice, user)
        self._metrics.count("ConnectionsOpened", dialect=connection.dialect)
        response: WebSocketResponse = {"statusCode": 200}
        if choice.subprotocol is not None:
            response["headers"] = {"Sec-WebSocket-Protocol": choice.subprotocol}
        return response

    def _admit(self, request: WebSocketContext, headers: Mapping[str, str], query: Mapping[str, str]) -> User | None:
        """Count the connection for its address and its user. Return the user; None if it is anonymous.

        Raises `RequestError` if a limit is reached or the client's token or ticket is invalid.
        """
        connection_id, now = request["connectionId"], request["requestTimeEpoch"]
        limits = self._settings.limits
        owner = owner_of_address(request["identity"]["sourceIp"], limits.exempt_ips) if limits.counts_addresses else ""
        if owner:
            per_minute, at_once = limits.connections_per_minute, limits.connections_per_ip
            self._quotas.admit(owner, connection_id, now, per_minute=per_minute, at_once=at_once)
        try:
            user = self._authenticate(headers, query, now)
            if user:
                self._identities.admit(user, connection_id, now)
        except RequestError:
            if owner:
                self._quotas.release(owner, [connection_id])
            raise
        return user

    def _authenticate(self, headers: Mapping[str, str], query: Mapping[str, str], now: int) -> User | None:
        settings = self._settings
        token = extract_token(headers, query, cookie=settings.auth_cookie, in_query=settings.allow_query_token)
        ticket = query.get("ticket", "") if settings.auth != "off" else ""
        if ticket and token:
            raise RequestError(Code.AUTH_FAILED, "a ticket and a token were sent, which may name two users: send one")
        if ticket:
            user: User | None = self._tickets.redeem(ticket, now)
        elif token:
            user = authenticate_or_anonymous(self._authenticator, token, settings.auth)
        else:
            return None
        if user is not None:
            self._metrics.count_authenticated()
        return user

    def _enqueue_jobs(self, connection: Connection, choice: DialectChoice, user: User | None) -> None:
        connection_id = connection.connection_id
        self._jobs.enqueue(Greet(connection_id, connection.dialect))
        if choice.requires_join:
            self._jobs.enqueue(Deadline(connection_id, Requirement.JOINED), JOIN_SECONDS)
        if user:
            self._identities.schedule_expiry(user, connection_id, connection.connected_at)
        elif self._settings.auth == "required":
            self._jobs.enqueue(Deadline(connection_id, Requirement.AUTHENTICATED), AUTHENTICATE_SECONDS)

    def _refuse(self, error: RequestError) -> WebSocketResponse:
        self._metrics.count("ConnectionsRefused", code=error.code.value)
        self._metrics.count_refusal(error)
        response: WebSocketResponse = {"statusCode": _STATUS.get(error.code, 400), "body": str(error)}
        if "retry_after" in error.details:
            response["headers"] = {"Retry-After": str(error.details["retry_after"])}
        return response


def _connection(
    request: WebSocketContext, headers: Mapping[str, str], choice: DialectChoice, user: User | None
) -> Connection:
    return Connection(
        connection_id=request["connectionId"],
        dialect=choice.dialect,
        source_ip=request["identity"]["sourceIp"],
        origin=headers.get("origin", ""),
        connected_at=request["requestTimeEpoch"],
        user=user.id if user else "",
        user_until=user.expires_at if user else 0,
        premium=user.premium if user else False,
        undecided=choice.undecided,
    )
