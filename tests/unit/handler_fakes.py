"""Fakes for the unit tests of handlers: settings, events, metrics and a poster, without environment or AWS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.aws.lambda_events import WebSocketEvent
from chaincast.jobs.messages import Job
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.cleanup import RemovedConnections
from chaincast.sessions.connection_store import Connection
from tests import lambda_functions

NOW = 1_700_000_000_000
IP = "203.0.113.9"
SETTINGS = replace(lambda_functions.SETTINGS, message_bytes=1_000, auth_grace=60)


def connection(connection_id: str = "c1", dialect: str = "chaincast.v1", **fields: Any) -> Connection:
    return replace(Connection(connection_id, dialect, IP, "", NOW), **fields)


def websocket_event(
    event_type: str = "MESSAGE",
    body: object = None,
    *,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    **more: Any,
) -> WebSocketEvent:
    """Return an event as API Gateway makes it. A body that is no string is encoded as JSON."""
    event: dict[str, Any] = {
        "requestContext": {
            "connectionId": "c1",
            "eventType": event_type,
            "routeKey": "$default",
            "requestTimeEpoch": NOW,
            "identity": {"sourceIp": IP},
        },
        "headers": None if headers is None else {**headers},
        "queryStringParameters": None if query is None else {**query},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        **more,
    }
    return event  # type: ignore[return-value]  # as API Gateway makes it


class CountingMetrics(MetricsRecorder):
    """Metrics that are counted in a dictionary: `name` or `name label…` → number."""

    def __init__(self) -> None:
        super().__init__("test")
        self.counts: dict[str, int] = {}

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        key = " ".join((name, *labels.values()))
        self.counts[key] = self.counts.get(key, 0) + value


class RecordingJobs:
    """A queue that records jobs with their delays."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Job, int]] = []

    def enqueue(self, job: Job, delay_seconds: int = 0) -> None:
        self.jobs.append((job, delay_seconds))


class RecordingConnectionApi:
    """A management API that records what was posted and closed. `open_ids`: connections that are open."""

    def __init__(self, open_ids: Iterable[str] = ()) -> None:
        self.posted: list[tuple[str, bytes]] = []
        self.closed: list[str] = []
        self.open_ids = {*open_ids}

    def post(self, connection_id: str, message: bytes) -> None:
        self.posted.append((connection_id, message))

    def close(self, connection_id: str) -> None:
        self.closed.append(connection_id)

    def is_open(self, connection_id: str) -> bool:
        return connection_id in self.open_ids


class RecordingPoster:
    """A poster that records messages by connection. `outcomes` are returned one after the other, then `posted`."""

    def __init__(self, *outcomes: Outcomes) -> None:
        self.outcomes = list(outcomes)
        self.posted: dict[str, list[bytes]] = {}

    async def deliver(self, payloads: Iterable[bytes], connections: Iterable[str]) -> Outcomes:
        messages, names = [*payloads], [*connections]
        if self.outcomes:
            return self.outcomes.pop(0)
        for name in names:
            self.posted.setdefault(name, []).extend(messages)
        return Outcomes(posted=len(messages) * len(names))


class RecordingCleanup:
    """A cleanup that records the ids of removed connections. `existing`: those that have a record."""

    def __init__(self, *existing: Connection) -> None:
        self.existing = {one.connection_id: one for one in existing}
        self.removed: list[str] = []

    def remove(self, connection_ids: Iterable[str]) -> RemovedConnections:
        ids = [*connection_ids]
        self.removed += ids
        return RemovedConnections([self.existing.pop(id_) for id_ in ids if id_ in self.existing], len(ids))

    remove_gone = remove
