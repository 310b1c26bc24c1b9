"""Handles a client's message: decodes it in the connection's dialect, carries out the command, sends the reply.

API Gateway sends one message back as the function's response. If a reply consists of several messages, all but the last
are posted before the function returns.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from typing import Protocol

from aws_lambda_powertools import Logger

from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, ProtocolViolation, RequestError, RequestId
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.policy.rate_limits import AbuseAction, MessageCounts, check_message_rate, owner_of_address
from chaincast.protocol.commands import Authenticate, Caller, Command, ConnectionClosing, Join, Outcome
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Dialect
from chaincast.protocol.dialects.negotiation import detect_dialect
from chaincast.sessions.connection_store import Connection, IdentityChanged

EXPIRY_DELAY_SECONDS = 60
"""Maximum delay, in seconds, with which the lifecycle queue may notice the end of a user's token."""

_ATTEMPTS = 5


class Commands(Protocol):
    """Carries out commands (chaincast/sessions/command_handler.py)."""

    def handle(self, command: Command, caller: Caller, now_ms: int) -> Outcome: ...


class MessageRate(Protocol):
    """Counts messages (chaincast/sessions/message_rate.py)."""

    def count(self, connection_id: str, now_ms: int) -> tuple[Connection, MessageCounts] | None: ...


class Connections(Protocol):
    """Reads records of connections, and records dialects (chaincast/sessions/connection_store.py)."""

    def get(self, connection_id: str) -> Connection | None: ...

    def set_dialect(self, connection_id: str, dialect: str) -> bool: ...


class OpenConnections(Protocol):
    """Counts open connections (chaincast/sessions/open_connections.py)."""

    def dialect_changed(self, connection: Connection, dialect: str) -> None: ...


class Bans(Protocol):
    """Bans addresses (chaincast/sessions/quota_store.py)."""

    def ban_until(self, owner: str, until_ms: int) -> None: ...


class ConnectionApi(Protocol):
    """Posts to and closes connections (chaincast/aws/management_api.py)."""

    def post(self, connection_id: str, message: bytes) -> None: ...

    def close(self, connection_id: str) -> None: ...


class MessageHandler:
    """Handles the routes `$default`, `subscribe`, `unsubscribe`, `ping` and `get`."""

    def __init__(
        self,
        settings: Settings,
        commands: Commands,
        message_rate: MessageRate,
        connections: Connections,
        open_connections: OpenConnections,
        bans: Bans,
        connection_api: ConnectionApi,
        metrics: MetricsRecorder,
        logger: Logger,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._commands = commands
        self._message_rate = message_rate
        self._connections = connections
        self._open_connections = open_connections
        self._bans = bans
        self._connection_api = connection_api
        self._metrics = metrics
        self._logger = logger
        self._clock = clock

    def handle(self, event: WebSocketEvent) -> WebSocketResponse:
        """Handle a message. Errors become replies to the client; none is raised."""
        now = self._clock()
        connection_id = event["requestContext"]["connectionId"]
        dialect = registry.get(registry.DEFAULT, self._settings.chains)  # until the record or the message says another
        outcome: Outcome
        try:
            counted = self._message_rate.count(connection_id, now)
            if counted is None:
                raise RequestError(Code.NOT_CONNECTED, "this connection has no record; connect again")
            connection, counts = counted
            body = _body(event)
            dialect = registry.get(self._dialect_name(connection, body), self._settings.chains)
            decision = check_message_rate(counts, self._settings.limits, now)
            if decision.abuse is AbuseAction.DROP:
                self._metrics.count("MessagesDropped")
                return {"statusCode": 200}
            if decision.abuse is AbuseAction.DISCONNECT_AND_BAN:
                self._ban_address(connection, now)
            outcome = self._outcome(dialect, connection, body, now, decision.refusal)
        except RequestError as error:
            outcome = error
        except Exception:
            outcome = self._internal_error(None)
        self._count(dialect, outcome)
        response = self._respond(connection_id, dialect.outcome_messages(outcome, now))
        if isinstance(outcome, (ConnectionClosing, ProtocolViolation)):
            # Only the code is logged: the message quotes what the client sent, which may be a token.
            self._logger.info("connection closed", code=outcome.code if isinstance(outcome, RequestError) else "")
            self._connection_api.close(connection_id)
        return response

    def _outcome(
        self, dialect: Dialect, connection: Connection, body: bytes, now: int, refusal: RequestError | None
    ) -> Outcome:
        if isinstance(refusal, ProtocolViolation):
            return refusal
        command = dialect.decode(body, self._settings.message_bytes, self._settings.topics_per_message)
        if refusal is not None:
            return refusal.with_request_id(command.request_id)
        try:
            outcome = self._carry_out(command, dialect, connection, now)
        except Exception:
            return self._internal_error(command.request_id)
        if isinstance(command, (Authenticate, Join)) and command.token and not isinstance(outcome, RequestError):
            self._metrics.count_authenticated()
        return outcome

    def _carry_out(self, command: Command, dialect: Dialect, connection: Connection, now: int) -> Outcome:
        """Carry out a command, again if another message of the connection has changed its identity meanwhile."""
        found: Connection | None = connection
        for _ in range(_ATTEMPTS):
            if found is None:
                return RequestError(Code.NOT_CONNECTED, "this connection is closed", command.request_id)
            try:
                return self._commands.handle(command, self._caller(dialect, found, now), now)
            except IdentityChanged:
                found = self._connections.get(connection.connection_id)
        return RequestError(
            Code.RATE_LIMITED,
            "other messages of this connection keep changing its user; wait for their replies",
            command.request_id,
            details={"retry_after": 1},
        )

    def _caller(self, dialect: Dialect, connection: Connection, now: int) -> Caller:
        joined = connection.joined if dialect.requires_join else None
        grace_seconds = self._settings.auth_grace + EXPIRY_DELAY_SECONDS
        if connection.user_until and now // 1000 > connection.user_until + grace_seconds:
            # The lifecycle queue has missed the end of the user's token, so this connection is anonymous.
            return Caller(connection.connection_id, dialect.name, joined=joined, identity=connection.identity)
        return Caller(
            connection.connection_id, dialect.name, connection.user, joined, connection.premium, connection.identity
        )

    def _ban_address(self, connection: Connection, now: int) -> None:
        """Refuse new connections from the address of a client that keeps sending in spite of refusals."""
        limits = self._settings.limits
        owner = owner_of_address(connection.source_ip, limits.exempt_ips)
        if owner and limits.ban_seconds:
            self._bans.ban_until(owner, now + limits.ban_seconds * 1000)
            self._metrics.count("AddressesBanned")

    def _internal_error(self, request_id: RequestId) -> RequestError:
        """Log the current exception and return an error without details."""
        self._logger.exception("message failed")
        return RequestError(Code.INTERNAL, "the message could not be handled; try again", request_id)

    def _dialect_name(self, connection: Connection, body: bytes) -> str:
        """Return the dialect of a connection. If the handshake named none, the first message may show it."""
        if not connection.undecided or (dialect := detect_dialect(body)) is None:
            return connection.dialect
        if self._connections.set_dialect(connection.connection_id, dialect):
            self._open_connections.dialect_changed(connection, dialect)
        return dialect

    def _count(self, dialect: Dialect, outcome: Outcome) -> None:
        self._metrics.count("MessagesIn", dialect=dialect.name)
        if isinstance(outcome, RequestError):
            self._metrics.count("Errors", code=outcome.code.value)
            self._metrics.count_refusal(outcome)

    def _respond(self, connection_id: str, messages: tuple[bytes, ...]) -> WebSocketResponse:
        self._metrics.count("MessagesOut", len(messages), by="answer")
        if not messages:
            return {"statusCode": 200}
        for message in messages[:-1]:
            self._connection_api.post(connection_id, message)
        return {"statusCode": 200, "body": messages[-1].decode()}


def _body(event: WebSocketEvent) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return b64decode(body)
    # A lone surrogate cannot be UTF-8. It is passed through, so that the dialect reports it as invalid UTF-8.
    return body.encode("utf-8", "surrogatepass")
