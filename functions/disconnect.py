"""The function of the route `$disconnect`: closed WebSockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.cleanup import ConnectionCleanup
from chaincast.sessions.disconnect_handler import DisconnectHandler
from functions.composition import session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics = make_logger("disconnect"), MetricsRecorder("disconnect")
cleanup = ConnectionCleanup(session_stores(), Settings.from_environment().limits)
disconnect_handler = DisconnectHandler(cleanup, metrics)


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@metrics.flush_after
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketResponse:
    """Handle the end of a WebSocket."""
    return disconnect_handler.handle(event)
