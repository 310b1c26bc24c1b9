"""`$connect`: choose the dialect, record the connection, order its greeting.

The greeting cannot go out from here: API Gateway opens the connection only after this function has answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics

from chaincast.access import Access
from chaincast.aws import clients, resources
from chaincast.aws.authenticators import make_authenticator
from chaincast.aws.connections import Connection, Connections
from chaincast.aws.lifecycle import Deadline, Greet, Job, encode_job
from chaincast.credentials import token_of
from chaincast.dialects.choose import choose
from chaincast.errors import ClientError, Code
from chaincast.settings import Settings
from functions.events import WebSocketAnswer, WebSocketEvent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="connect")
metrics = Metrics(namespace="Chaincast", service="connect")

JOIN_SECONDS = 45
"""What Socket.IO's server gives a client to connect to a namespace (its `connectTimeout`)."""

AUTHENTICATE_SECONDS = 10

_STATUS = {Code.FORBIDDEN_ORIGIN: 403, Code.FORBIDDEN_ADDRESS: 403, Code.AUTH_FAILED: 401, Code.AUTH_UNAVAILABLE: 503}

settings = Settings.from_environment()
authenticator = make_authenticator(settings)
access = Access(settings.origins, settings.allow_ips, settings.deny_ips)
connections = Connections(clients.dynamodb(), resources.name_of(resources.CONNECTIONS))


@logger.inject_lambda_context(correlation_id_path="requestContext.connectionId")
@metrics.log_metrics
def handler(event: WebSocketEvent, context: LambdaContext) -> WebSocketAnswer:
    request = event["requestContext"]
    if request["eventType"] != "CONNECT":
        # A message whose `type` is "$connect"; the connection exists already.
        metrics.add_metric(name="Misrouted", unit="Count", value=1)
        return {"statusCode": 200}
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    origin, address = headers.get("origin", ""), request["identity"]["sourceIp"]
    query = event.get("queryStringParameters") or {}
    token = token_of(headers, query, cookie=settings.auth_cookie, in_query=settings.auth_query)
    try:
        access.check(origin, address)
        choice = choose(query, headers.get("sec-websocket-protocol", ""))
        user = authenticator.user_of(token) if token else None
    except ClientError as error:
        metrics.add_metric(name="ConnectionsRefused", unit="Count", value=1)
        metrics.add_metadata("code", error.code.value)
        return {"statusCode": _STATUS.get(error.code, 400), "body": str(error)}
    connection = Connection(
        connection_id=request["connectionId"],
        dialect=choice.dialect,
        source_ip=address,
        origin=origin,
        connected_at=request["requestTimeEpoch"],
        user=user.id if user else "",
        undecided=choice.undecided,
    )
    connections.put(connection)
    _order(Greet(connection.connection_id, connection.dialect))
    if choice.joins:
        _order(Deadline(connection.connection_id, "joined"), JOIN_SECONDS)
    if settings.auth == "required" and not connection.user:
        _order(Deadline(connection.connection_id, "authenticated"), AUTHENTICATE_SECONDS)
    metrics.add_metric(name="ConnectionsOpened", unit="Count", value=1)
    answer: WebSocketAnswer = {"statusCode": 200}
    if choice.subprotocol is not None:
        answer["headers"] = {"Sec-WebSocket-Protocol": choice.subprotocol}
    return answer


def _order(job: Job, seconds: int = 0) -> None:
    """Order a job, so many seconds from now."""
    clients.sqs().send_message(
        QueueUrl=resources.name_of(resources.LIFECYCLE_QUEUE), MessageBody=encode_job(job), DelaySeconds=seconds
    )
