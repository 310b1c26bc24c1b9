"""The function of `POST /ticket`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.auth.factory import make_authenticator
from chaincast.auth.ticket_handler import TicketHandler
from chaincast.auth.tickets import TicketStore
from chaincast.aws import boto_clients
from chaincast.aws.environment import STATE, require_env
from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from functions.composition import jwt_secret

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics, settings = make_logger("ticket"), MetricsRecorder("ticket"), Settings.from_environment()
tickets = TicketStore(boto_clients.dynamodb(), require_env(STATE))
ticket_handler = TicketHandler(settings, make_authenticator(settings, jwt_secret), tickets, metrics, logger)
app = ticket_handler.routes.app


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.flush_after
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    """Handle a request for a ticket."""
    return ticket_handler.routes.resolve(event, context)
