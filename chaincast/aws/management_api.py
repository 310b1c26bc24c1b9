"""Single connections, by boto3: where one is posted to or closed now and then. (Fan-out has its own client.)"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient


def post(client: ApiGatewayManagementApiClient, connection_id: str, message: bytes) -> None:
    """Post a message; to one that is gone, nothing."""
    with suppress(client.exceptions.GoneException):
        client.post_to_connection(ConnectionId=connection_id, Data=message)


def close(client: ApiGatewayManagementApiClient, connection_id: str) -> None:
    """Close a connection; `$disconnect` cleans up after it. One that is gone is closed."""
    with suppress(client.exceptions.GoneException):
        client.delete_connection(ConnectionId=connection_id)
