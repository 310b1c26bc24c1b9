"""`subscribe`, `unsubscribe`, `ping`, `get`, `$default`: a client's message, decoded by its dialect, done, answered.

An answer of one message goes back with the function's own; of several, all but the last are posted before it.
"""

from __future__ import annotations

import time
from base64 import b64decode
from typing import TYPE_CHECKING

from chaincast.auth.factory import make_authenticator
from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.aws.management_api import close, post
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code, ProtocolViolation, RequestId
from chaincast.eventlog.checkpoint import newest
from chaincast.eventlog.history_store import HistoryReader
from chaincast.eventlog.log_store import LogReader
from chaincast.jobs.queue import order
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.policy.rate_limits import Abuse, abuse, owner_of_address, refusal
from chaincast.protocol.commands import Authenticate, Caller, ConnectionClosing, Join, Outcome
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Dialect
from chaincast.protocol.dialects.chaincast_v1 import messages as _  # noqa: F401 - import now, in the start-up AWS gives full CPU
from chaincast.protocol.dialects.negotiation import detect_dialect
from chaincast.replay.holds import Holds
from chaincast.replay.start import Resumption
from chaincast.sessions.command_handler import CommandHandler
from chaincast.sessions.connection_store import Connection, Connections
from chaincast.sessions.identities import Identities
from chaincast.sessions.message_counter import Visits
from chaincast.sessions.open_counts import Population
from chaincast.sessions.quota_store import Admission
from chaincast.sessions.subscription_store import Subscriptions

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

logger = make_logger("message")
telemetry = Telemetry("message")

LATE_SECONDS = 60
"""What the lifecycle queue may be late by with the end of a user's proof."""

settings = Settings.from_environment()
connections = Connections(boto_clients.dynamodb(), environment.name_of(environment.CONNECTIONS))
database, subscriptions_table = boto_clients.dynamodb(), environment.name_of(environment.SUBSCRIPTIONS)
population = Population(database, environment.name_of(environment.STATE))
subscriptions = Subscriptions(database, subscriptions_table, population, settings.shards)
resumption = Resumption(
    LogReader(database, environment.name_of(environment.LOG)),
    lambda network: newest(database, environment.name_of(environment.STATE), network),
    Holds(database, subscriptions_table),
    order,
    settings.shards,
)
past = HistoryReader(database, environment.name_of(environment.HISTORY))
authenticator = make_authenticator(settings)
limits = settings.limits
admission = Admission(database, environment.name_of(environment.STATE), connections)
visits = Visits(connections, admission, limits, users=settings.auth != "off")
identities = Identities(connections, admission, limits, order)
command_handler = CommandHandler(subscriptions, resumption, past, identities, authenticator, settings)


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@telemetry.watched
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketResponse:
    dialect = registry.get(registry.DEFAULT, settings.chains)
    now = int(time.time() * 1000)
    connection_id = event["requestContext"]["connectionId"]
    try:
        counted = visits.count(connection_id, now)
        if counted is None:
            raise ClientError(Code.NOT_CONNECTED, "this connection is not on record (any more): connect again")
        connection, visit = counted
        body = _body(event)
        dialect = registry.get(_spoken(connection, body), settings.chains)
        refused = refusal(visit, limits, now)
        match abuse(visit, limits):
            case Abuse.IS_IGNORED:
                telemetry.count("MessagesIgnored")
                return {"statusCode": 200}
            case Abuse.BEGINS:
                _bar(connection, now)
        outcome = _outcome(dialect, connection, body, now, refused)
    except ClientError as error:
        outcome = error
    except Exception:
        outcome = _failed(None)
    telemetry.count("MessagesIn", dialect=dialect.name)
    if isinstance(outcome, ClientError):
        telemetry.count("Errors", code=outcome.code.value)
        telemetry.refused(outcome)
    answer = _answer(connection_id, dialect.outcome_messages(outcome, now))
    if isinstance(outcome, (ConnectionClosing, ProtocolViolation)):
        # Its code alone: the words begin with what the client sent, which may be a token.
        logger.info("connection closed", code=outcome.code if isinstance(outcome, ClientError) else "")
        close(_management(), connection_id)
    return answer


def _outcome(dialect: Dialect, connection: Connection, body: bytes, now: int, refused: ClientError | None) -> Outcome:
    if isinstance(refused, ProtocolViolation):
        return refused
    command = dialect.decode(body, settings.message_bytes, settings.topics_per_message)
    if refused is not None:
        return refused.with_request_id(command.request_id)
    try:
        outcome = command_handler.handle(command, _caller(dialect, connection, now), now)
    except Exception:
        return _failed(command.request_id)
    if isinstance(command, (Authenticate, Join)) and command.token and not isinstance(outcome, ClientError):
        telemetry.authenticated()
    return outcome


def _caller(dialect: Dialect, connection: Connection, now: int) -> Caller:
    joined = connection.joined if dialect.requires_join else None
    over = connection.user_until and now // 1000 > connection.user_until + settings.auth_grace + LATE_SECONDS
    if over:  # and its end has not been noticed: a connection of nobody's
        return Caller(connection.connection_id, dialect.name, joined=joined)
    return Caller(connection.connection_id, dialect.name, connection.user, joined, connection.premium)


def _bar(connection: Connection, now: int) -> None:
    """Nobody new is let in for a while from where somebody goes on in spite of refusals."""
    owner = owner_of_address(connection.source_ip, limits.exempt_ips)
    if owner and limits.cool_down_seconds:
        admission.bar(owner, now + limits.cool_down_seconds * 1000)
        telemetry.count("AddressesBarred")


def _failed(request_id: RequestId) -> ClientError:
    """Our fault: in the log it says what, to the client that it was not its own."""
    logger.exception("message failed")
    return ClientError(Code.INTERNAL, "the message could not be handled; try again", request_id)


def _spoken(connection: Connection, body: bytes) -> str:
    """What a connection speaks: as it said when it came, or as its messages show."""
    if not connection.undecided or (found := detect_dialect(body)) is None:
        return connection.dialect
    if connections.decide(connection.connection_id, found):
        population.turned(connection, found)
    return found


def _answer(connection_id: str, messages: tuple[bytes, ...]) -> WebSocketResponse:
    telemetry.count("MessagesOut", len(messages), by="answer")
    if not messages:
        return {"statusCode": 200}
    for message in messages[:-1]:
        post(_management(), connection_id, message)
    return {"statusCode": 200, "body": messages[-1].decode()}


def _management() -> ApiGatewayManagementApiClient:
    return boto_clients.management(environment.name_of(environment.MANAGEMENT_ENDPOINT))


def _body(event: WebSocketEvent) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return b64decode(body)
    # A lone surrogate cannot be UTF-8; passed through, the dialect's check of the bytes says so.
    return body.encode("utf-8", "surrogatepass")
