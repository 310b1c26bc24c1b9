"""The function of the heartbeat, which a schedule invokes every five minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop

from chaincast.aws.environment import MANAGEMENT_ENDPOINT, region, require_env
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.poster import MAX_SOCKETS, ConnectionPoster
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.cleanup import ConnectionCleanup
from chaincast.sessions.heartbeat_handler import HeartbeatHandler
from functions.composition import make_appender, management_api, session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics, settings = make_logger("heartbeat"), MetricsRecorder("heartbeat"), Settings.from_environment()
client = ServiceClient(Pool(require_env(MANAGEMENT_ENDPOINT), MAX_SOCKETS), region(), "execute-api")
stores, appender = session_stores(), make_appender(settings)
cleanup, posting = ConnectionCleanup(stores, settings.limits), (ConnectionPoster(client), uvloop.new_event_loop())
heartbeat_handler = HeartbeatHandler(
    settings, stores.connections, cleanup, management_api(), *posting, appender, metrics, logger
)


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: object, context: LambdaContext) -> dict[str, int]:
    """Check all connections."""
    client.refresh_credentials()
    return heartbeat_handler.handle(context.get_remaining_time_in_millis)
