"""The function of the fan-out queue, which delivers batches (chaincast/fanout/worker.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop

from chaincast.aws.environment import MANAGEMENT_ENDPOINT, region, require_env, service_endpoint
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.poster import MAX_SOCKETS, ConnectionPoster
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.aws.lambda_events import SqsBatchResponse, SqsEvent
from chaincast.config.function_settings import Settings
from chaincast.metrics.async_counter_writer import AsyncCounterWriter
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from functions.fanout_services import make_worker

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, settings, loop = make_logger("fanout"), Settings.from_environment(), uvloop.new_event_loop()
management = ServiceClient(Pool(require_env(MANAGEMENT_ENDPOINT), MAX_SOCKETS), region(), "execute-api")
database = ServiceClient(Pool(service_endpoint("dynamodb"), 64), region(), "dynamodb")
queues = ServiceClient(Pool(service_endpoint("sqs"), 8), region(), "sqs")
poster, metrics = ConnectionPoster(management), MetricsRecorder("fanout", AsyncCounterWriter(loop, database))
worker = make_worker(settings, database, queues, poster, metrics, logger)


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: SqsEvent, context: LambdaContext) -> SqsBatchResponse:
    """Deliver the batches of an invocation."""
    for client in (management, database, queues):
        client.refresh_credentials()
    return loop.run_until_complete(worker.handle(event, context.get_remaining_time_in_millis))
