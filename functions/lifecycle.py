"""The function of the lifecycle queue: greetings, deadlines and replays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop

from chaincast.aws.environment import LOG, MANAGEMENT_ENDPOINT, SUBSCRIPTIONS, region, require_env, service_endpoint
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.poster import ConnectionPoster
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.aws.lambda_events import SqsBatchResponse, SqsEvent
from chaincast.config.function_settings import Settings
from chaincast.metrics.async_counter_writer import AsyncCounterWriter
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.replay.lifecycle_factory import make_lifecycle_handler
from functions.composition import lifecycle_queue, management_api, session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, settings, loop = make_logger("lifecycle"), Settings.from_environment(), uvloop.new_event_loop()
management = ServiceClient(Pool(require_env(MANAGEMENT_ENDPOINT), 32), region(), "execute-api")
database = ServiceClient(Pool(service_endpoint("dynamodb"), 1), region(), "dynamodb")
poster, metrics = ConnectionPoster(management), MetricsRecorder("lifecycle", AsyncCounterWriter(loop, database))
services, tables = (session_stores, management_api, lifecycle_queue), (require_env(LOG), require_env(SUBSCRIPTIONS))
lifecycle_handler = make_lifecycle_handler(settings, *services, *tables, poster, metrics, logger)


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: SqsEvent, context: LambdaContext) -> SqsBatchResponse:
    """Run the jobs of a batch."""
    management.refresh_credentials()
    database.refresh_credentials()
    return loop.run_until_complete(lifecycle_handler.handle(event, context.get_remaining_time_in_millis()))
