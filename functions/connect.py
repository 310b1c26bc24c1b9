"""The function of the route `$connect`: handshakes of WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.auth.factory import make_authenticator
from chaincast.auth.tickets import TicketStore
from chaincast.aws import boto_clients
from chaincast.aws.environment import STATE, require_env
from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.sessions.connect_handler import ConnectHandler
from chaincast.sessions.identity_service import IdentityService
from functions.composition import lifecycle_queue, session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics, settings = make_logger("connect"), Telemetry("connect"), Settings.from_environment()
stores, jobs = session_stores(settings.shards), lifecycle_queue()
tickets = TicketStore(boto_clients.dynamodb(), require_env(STATE))
identities = IdentityService(stores.connections, stores.quotas, settings.limits, jobs)
counters = (stores.open_counter, stores.quotas, identities)
connect_handler = ConnectHandler(
    settings, make_authenticator(settings), tickets, stores.connections, *counters, jobs, metrics
)


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@metrics.watched
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketResponse:
    """Handle a handshake."""
    return connect_handler.handle(event)
