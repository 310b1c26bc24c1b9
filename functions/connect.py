"""The function of the route `$connect`: handshakes of WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.auth.factory import make_authenticator
from chaincast.auth.tickets import TicketStore
from chaincast.aws import boto_clients
from chaincast.aws.environment import CONNECTIONS, STATE, require_env
from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.connect_handler import ConnectHandler
from chaincast.sessions.connection_store import ConnectionStore
from chaincast.sessions.identity_service import IdentityService
from chaincast.sessions.open_connections import OpenConnectionCounter
from chaincast.sessions.quota_store import QuotaStore
from functions.composition import jwt_secret, lifecycle_queue

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics, settings = make_logger("connect"), MetricsRecorder("connect"), Settings.from_environment()
database, state, jobs = boto_clients.dynamodb(), require_env(STATE), lifecycle_queue()
connections = ConnectionStore(database, require_env(CONNECTIONS))
quotas, open_connections = QuotaStore(database, state, connections), OpenConnectionCounter(database, state)
authenticator, tickets = make_authenticator(settings, jwt_secret), TicketStore(database, state)
identities = IdentityService(quotas, settings.limits, jobs)
services = (open_connections, quotas, identities, jobs, metrics)
connect_handler = ConnectHandler(settings, authenticator, tickets, connections, *services)


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@metrics.flush_after
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketResponse:
    """Handle a handshake."""
    return connect_handler.handle(event)
