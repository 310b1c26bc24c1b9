"""Requests about single connections to API Gateway's management API (`@connections`), by boto3.

Fan-out posts to many connections at once with its own asynchronous client (chaincast/aws/fast/).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient


class ManagementApi:
    """Posts to, closes and checks connections.

    `client` returns the boto3 client. It is called with the first request, because some functions seldom make one and
    making a client takes time.
    """

    def __init__(self, client: Callable[[], ApiGatewayManagementApiClient]) -> None:
        self._client = client

    def post(self, connection_id: str, message: bytes) -> None:
        """Send a message. Do nothing if the connection is closed."""
        client = self._client()
        with suppress(client.exceptions.GoneException):
            client.post_to_connection(ConnectionId=connection_id, Data=message)

    def close(self, connection_id: str) -> None:
        """Close a connection; API Gateway then invokes `$disconnect`. Do nothing if it is closed already."""
        client = self._client()
        with suppress(client.exceptions.GoneException):
            client.delete_connection(ConnectionId=connection_id)

    def is_open(self, connection_id: str) -> bool:
        """Return True if a connection is open."""
        client = self._client()
        try:
            client.get_connection(ConnectionId=connection_id)
        except client.exceptions.GoneException:
            return False
        return True
