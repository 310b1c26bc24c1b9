"""What administrators do over HTTP: `DELETE /connections/{id}`, `DELETE /users/{user}/connections`.

Who may, API Gateway has checked (IAM, or a JWT with the scope of `[admin]`). Closing is all: `$disconnect` cleans up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from aws_lambda_powertools import Metrics

from chaincast.aws import clients, resources
from chaincast.aws.admission import Admission
from chaincast.aws.connections import Connections
from chaincast.aws.logger import make_logger
from chaincast.aws.single import close
from chaincast.errors import ClientError, Code
from chaincast.limits import owner_of_user
from chaincast.settings import Settings
from functions.answers import FAULT, error_document, json_answer
from functions.events import HttpAnswer, HttpEvent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("admin")
metrics = Metrics(namespace="Chaincast", service="admin")

CONNECTION, USER = "DELETE /connections/{id}", "DELETE /users/{user}/connections"

limits = Settings.from_environment().limits
connections = Connections(clients.dynamodb(), resources.name_of(resources.CONNECTIONS))
admission = Admission(clients.dynamodb(), resources.name_of(resources.STATE), connections)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@metrics.log_metrics
def handler(event: HttpEvent, context: LambdaContext) -> HttpAnswer:
    metrics.add_metric(name="Requests", unit="Count", value=1)
    named = {name: unquote(value) for name, value in event.get("pathParameters", {}).items()}
    try:
        closing = _meant(event["routeKey"], named)
        for connection_id in closing:
            close(clients.management(resources.name_of(resources.MANAGEMENT_ENDPOINT)), connection_id)
    except ClientError as error:
        status = 404 if error.code is Code.UNKNOWN_ROUTE else 409
        return json_answer(status, error_document(error))
    except Exception:
        logger.exception("request failed")
        return json_answer(500, FAULT)
    logger.info("connections closed", extra={"route": event["routeKey"], **named, "closed": len(closing)})
    metrics.add_metric(name="ConnectionsEnded", unit="Count", value=len(closing))
    return json_answer(200, {"closed": len(closing)})


def _meant(route: str, named: dict[str, str]) -> list[str]:
    """The connections that a request is about. Raises `ClientError`."""
    if route == CONNECTION:
        return [c.connection_id for c in connections.get_all([named["id"]])]
    if route == USER:
        if not limits.connections_per_user:
            why = "users' connections are not counted (limits.connections_per_user = 0), so nobody knows which they are"
            raise ClientError(Code.UNSUPPORTED, why)
        return list(admission.open(owner_of_user(named["user"])))
    raise ClientError(Code.UNKNOWN_ROUTE, f"{route!r} is not known; known: {CONNECTION!r}, {USER!r}")
