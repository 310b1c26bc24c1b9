"""`$disconnect`: forget the connection. Best effort on AWS's side: what it misses, fan-out and heartbeat find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.sessions.cleanup import Forgetter

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("disconnect")
telemetry = Telemetry("disconnect")

forgetter = Forgetter.from_environment(Settings.from_environment().limits)


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@telemetry.watched
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketResponse:
    request = event["requestContext"]
    if request["eventType"] != "DISCONNECT":
        # A message whose `type` is "$disconnect"; the connection is open.
        telemetry.count("Misrouted")
        return {"statusCode": 200}
    telemetry.closed(forgetter.forget([request["connectionId"]]).dialects)
    return {"statusCode": 200}
