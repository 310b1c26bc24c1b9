"""The function of `POST /publish`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.publishing.http_handler import PublishHttpHandler
from functions.publish_services import publish_service

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics = make_logger("http"), MetricsRecorder("http")
http_handler = PublishHttpHandler(publish_service(), metrics, logger)
app = http_handler.routes.app


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.flush_after
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    """Handle a request to publish events."""
    return http_handler.routes.resolve(event, context)
