"""The function of `/health`, `/status`, `/metrics` and `/docs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.status.status_handler import StatusHandler
from functions.status_services import metrics_token, status_collector

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

PAGES = Path(__file__).parents[1] / "pages"
"""The documentation, made when the stack is synthesized (`python -m pages`)."""

logger, metrics, settings = make_logger("status"), MetricsRecorder("status"), Settings.from_environment()
status_handler = StatusHandler(settings, status_collector(settings, logger), metrics_token, PAGES, metrics, logger)
app = status_handler.routes.app


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.flush_after
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    """Handle a request about the deployment."""
    return status_handler.routes.resolve(event, context)
