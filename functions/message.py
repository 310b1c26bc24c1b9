"""The function of the routes `$default`, `subscribe`, `unsubscribe`, `ping` and `get`: messages of clients."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from chaincast.auth.factory import make_authenticator
from chaincast.aws import boto_clients
from chaincast.aws.environment import HISTORY, LOG, STATE, require_env
from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.eventlog.history_store import HistoryReader
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.replay.factory import make_resumption
from chaincast.sessions.message_factory import make_message_handler
from functions.composition import jwt_secret, lifecycle_queue, management_api, session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# The decoders of the default dialect are loaded now, because Lambda provides full CPU during the init phase.
import_module("chaincast.protocol.dialects.chaincast_v1.messages")
logger, metrics, settings = make_logger("message"), MetricsRecorder("message"), Settings.from_environment()
database, jobs, stores = boto_clients.dynamodb(), lifecycle_queue(), session_stores(settings.shards)
history = HistoryReader(database, require_env(HISTORY))
resumption = make_resumption(database, require_env(LOG), require_env(STATE), jobs, settings.shards)
authenticator = make_authenticator(settings, jwt_secret)
message_handler = make_message_handler(
    settings, stores, history, resumption, authenticator, jobs, management_api(), metrics, logger
)


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@metrics.flush_after
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketResponse:
    """Handle a message."""
    return message_handler.handle(event)
