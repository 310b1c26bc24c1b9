"""Handles the HTTP API of administrators: list connections, show one, close one or all of a user.

API Gateway has authorized the caller (IAM, or a JWT with the scope of `[admin]`). Connections are only closed here:
`$disconnect` then removes what is stored about them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Protocol
from urllib.parse import unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from chaincast.errors import Code, RequestError
from chaincast.http_api.documents import ClosedDocument, ConnectionDetail, ConnectionPage
from chaincast.http_api.routing import Routes, json_response
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.policy.rate_limits import Limits, owner_of_user
from chaincast.sessions.connection_store import ACTIVITY_SLOT_SECONDS, Connection
from chaincast.sessions.subscription_store import Subscription

MAX_PAGE = 1000
"""Maximum number of connections on one page."""


class Records(Protocol):
    """Reads connection records (chaincast/sessions/connection_store.py)."""

    def page(self, limit: int, after: str) -> tuple[list[Connection], str]: ...

    def get_all(self, connection_ids: Sequence[str]) -> Iterator[Connection]: ...


class SubscriptionReader(Protocol):
    """Reads subscriptions (chaincast/sessions/subscription_store.py)."""

    def list_subscriptions(self, connection_id: str) -> tuple[Mapping[str, Subscription], bool]: ...


class UserConnections(Protocol):
    """Lists the connections of a user (chaincast/sessions/quota_store.py)."""

    def open_connections(self, owner: str) -> Sequence[str]: ...


class ConnectionApi(Protocol):
    """Closes connections (chaincast/aws/management_api.py)."""

    def close(self, connection_id: str) -> None: ...


class AdminHandler:
    """Handles requests of administrators. `routes` declares them."""

    def __init__(
        self,
        limits: Limits,
        records: Records,
        subscriptions: SubscriptionReader,
        user_connections: UserConnections,
        connection_api: ConnectionApi,
        metrics: MetricsRecorder,
        logger: Logger,
    ) -> None:
        self._limits = limits
        self._records = records
        self._subscriptions = subscriptions
        self._user_connections = user_connections
        self._connection_api = connection_api
        self._metrics = metrics
        self._logger = logger
        self.routes = Routes(metrics, logger)
        app = self.routes.app
        app.get("/connections", summary="List open connections, page by page")(self.list_connections)
        app.get("/connections/<id>", summary="Show a connection and its subscriptions")(self.get_connection)
        app.delete("/connections/<id>", summary="Close a connection")(self.delete_connection)
        app.delete("/users/<user>/connections", summary="Close all connections of a user")(self.delete_user_connections)

    def list_connections(
        self,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="maximum number of connections on the page")] = 100,
        after: Annotated[str, Query(max_length=128, description="the `next` of the previous page")] = "",
    ) -> Response[ConnectionPage]:
        """Return a page of connections."""
        connections, next_after = self._records.page(limit, after)
        return json_response(200, {"connections": [_document(c) for c in connections], "next": next_after or None})

    def get_connection(self, id: Annotated[str, Path()]) -> Response[ConnectionDetail]:  # noqa: A002 - the path's name
        """Return a connection and its subscriptions."""
        connection = self._find(unquote(id))
        topics, _ = self._subscriptions.list_subscriptions(connection.connection_id)
        subscriptions = [
            {"topic": topic, "kinds": sorted(found.kinds) if found.kinds else None}
            for topic, found in sorted(topics.items())
        ]
        return json_response(200, {**_document(connection), "subscriptions": subscriptions})

    def delete_connection(self, id: Annotated[str, Path()]) -> Response[ClosedDocument]:  # noqa: A002 - as above
        """Close a connection. The response says how many were open: 1 or 0."""
        connections = self._records.get_all([unquote(id)])
        return self._close([connection.connection_id for connection in connections], connection=unquote(id))

    def delete_user_connections(self, user: Annotated[str, Path()]) -> Response[ClosedDocument]:
        """Close all connections of a user."""
        if not self._limits.connections_per_user:
            raise RequestError(
                Code.UNSUPPORTED,
                "connections are not counted by user (limits.connections_per_user = 0), so those of a user are not "
                "known: set a limit",
            )
        return self._close([*self._user_connections.open_connections(owner_of_user(unquote(user)))], user=unquote(user))

    def _find(self, connection_id: str) -> Connection:
        connection = next(self._records.get_all([connection_id]), None)
        if connection is None:
            raise RequestError(Code.NOT_CONNECTED, f"connection {connection_id!r:.200} is not open")
        return connection

    def _close(self, connection_ids: list[str], **log_fields: str) -> Response[ClosedDocument]:
        for connection_id in connection_ids:
            self._connection_api.close(connection_id)
        self._logger.info("connections closed", extra={**log_fields, "closed": len(connection_ids)})
        self._metrics.count("ConnectionsClosedByAdmin", len(connection_ids))
        return json_response(200, {"closed": len(connection_ids)})


def _document(connection: Connection) -> dict[str, object]:
    return {
        "id": connection.connection_id,
        "dialect": connection.dialect,
        "user": connection.user or None,
        "sourceIp": connection.source_ip,
        "origin": connection.origin,
        "connectedAt": connection.connected_at,
        "lastSeen": connection.active_slot * ACTIVITY_SLOT_SECONDS * 1000,
    }
