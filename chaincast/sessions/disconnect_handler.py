"""Handles `$disconnect`: removes what is stored about the connection.

API Gateway invokes it on a best-effort basis. Fan-out and the heartbeat remove the connections that it misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chaincast.aws.lambda_events import WebSocketEvent, WebSocketResponse
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.cleanup import RemovedConnections


class Cleanup(Protocol):
    """Removes connections (chaincast/sessions/cleanup.py)."""

    def remove(self, connection_ids: Sequence[str]) -> RemovedConnections: ...


class DisconnectHandler:
    """Handles the end of a WebSocket."""

    def __init__(self, cleanup: Cleanup, metrics: MetricsRecorder) -> None:
        self._cleanup = cleanup
        self._metrics = metrics

    def handle(self, event: WebSocketEvent) -> WebSocketResponse:
        """Remove the connection of an event."""
        request = event["requestContext"]
        if request["eventType"] != "DISCONNECT":
            # A client sent a message with "type": "$disconnect", which API Gateway routed here.
            self._metrics.count("ReservedRouteMessages")
            return {"statusCode": 200}
        self._metrics.count_closed(self._cleanup.remove([request["connectionId"]]).dialects)
        return {"statusCode": 200}
