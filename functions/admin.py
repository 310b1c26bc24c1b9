"""What administrators do over HTTP: list connections, look at one, end one or all of a user.

Who may, API Gateway has checked (IAM, or a JWT with the scope of `[admin]`). Closing is all: `$disconnect` cleans up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import HttpEvent, HttpResponse
from chaincast.aws.management_api import close
from chaincast.config.function_settings import Settings
from chaincast.errors import ClientError, Code
from chaincast.http_api.documents import ClosedDocument, ConnectionDetail, ConnectionPage
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.policy.rate_limits import owner_of_user
from chaincast.sessions.connection_store import SLOT_SECONDS, Connection, Connections
from chaincast.sessions.open_counts import Population
from chaincast.sessions.quota_store import Admission
from chaincast.sessions.subscription_store import Subscriptions

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("admin")
telemetry = Telemetry("admin")
routes = Routes(telemetry, logger)
app = routes.app

MAX_PAGE = 1000

limits = Settings.from_environment().limits
_state = environment.name_of(environment.STATE)
connections = Connections(boto_clients.dynamodb(), environment.name_of(environment.CONNECTIONS))
subscriptions = Subscriptions(
    boto_clients.dynamodb(), environment.name_of(environment.SUBSCRIPTIONS), Population(boto_clients.dynamodb(), _state)
)
admission = Admission(boto_clients.dynamodb(), _state, connections)


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
@telemetry.watched
def handler(event: HttpEvent, context: LambdaContext) -> HttpResponse:
    return routes.resolve(event, context)


@app.get("/connections", summary="Open connections, a page at a time")
def list_connections(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="most in one page")] = 100,
    after: Annotated[str, Query(max_length=128, description="the `next` of the page before")] = "",
) -> Response[ConnectionPage]:
    page, following = connections.page(limit, after)
    return json_response(200, {"connections": [_document(c) for c in page], "next": following or None})


@app.get("/connections/<id>", summary="One connection and what it listens to")
def get_connection(id: Annotated[str, Path()]) -> Response[ConnectionDetail]:  # noqa: A002 - the path's word
    connection = _known(unquote(id))
    rows, _ = subscriptions.rows_of(connection.connection_id)
    topics = [{"topic": topic, "kinds": sorted(kinds) if kinds else None} for topic, kinds in sorted(rows.items())]
    return json_response(200, {**_document(connection), "subscriptions": topics})


@app.delete("/connections/<id>", summary="Close a connection")
def delete_connection(id: Annotated[str, Path()]) -> Response[ClosedDocument]:  # noqa: A002 - as above
    found = connections.get_all([unquote(id)])
    return _end([connection.connection_id for connection in found], connection=unquote(id))


@app.delete("/users/<user>/connections", summary="Close all connections of a user")
def delete_connections_of_user(user: Annotated[str, Path()]) -> Response[ClosedDocument]:
    if not limits.connections_per_user:
        why = "users' connections are not counted (limits.connections_per_user = 0), so nobody knows which they are"
        raise ClientError(Code.UNSUPPORTED, why)
    return _end([*admission.open(owner_of_user(unquote(user)))], user=unquote(user))


def _known(connection_id: str) -> Connection:
    found = next(iter(connections.get_all([connection_id])), None)
    if found is None:
        raise ClientError(Code.NOT_CONNECTED, f"connection {connection_id!r:.200} is not open")
    return found


def _end(closing: list[str], **named: str) -> Response[ClosedDocument]:
    for connection_id in closing:
        close(boto_clients.management(environment.name_of(environment.MANAGEMENT_ENDPOINT)), connection_id)
    logger.info("connections closed", extra={**named, "closed": len(closing)})
    telemetry.count("ConnectionsEnded", len(closing))
    return json_response(200, {"closed": len(closing)})


def _document(connection: Connection) -> dict[str, object]:
    return {
        "id": connection.connection_id,
        "dialect": connection.dialect,
        "user": connection.user or None,
        "sourceIp": connection.source_ip,
        "origin": connection.origin,
        "connectedAt": connection.connected_at,
        "lastSeen": connection.seen * SLOT_SECONDS * 1000,
    }
