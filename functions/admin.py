"""The function of administrators' requests: `/connections` and `/users`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.admin_handler import AdminHandler
from functions.composition import management_api, session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics, stores = make_logger("admin"), MetricsRecorder("admin"), session_stores()
limits, readers = Settings.from_environment().limits, (stores.connections, stores.subscriptions, stores.quotas)
admin_handler = AdminHandler(limits, *readers, management_api(), metrics, logger)
app = admin_handler.routes.app


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.flush_after
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    """Handle an administrator's request."""
    return admin_handler.routes.resolve(event, context)
