"""The functions as tests invoke them, on moto: handshakes, messages, jobs, and what they have stored."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Iterable
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import jwt
import pytest

from chaincast.aws import boto_clients, environment
from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.aws.lambda_events import SqsRecord, WebSocketEvent
from chaincast.config.function_settings import Settings
from chaincast.jobs.lifecycle_handler import LifecycleHandler, Replays
from chaincast.jobs.messages import Job, encode_job
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.connection_store import Connection, ConnectionStore
from chaincast.sessions.deadlines import DeadlineEnforcer
from chaincast.sessions.greeter import Greeter
from functions.composition import lifecycle_queue, management_api
from tests.integration.helpers import items, session_stores
from tests.lambda_functions import Context

SECRET = "s" * 64
NOW = int(time.time() * 1000)
TOKEN_OF_ANN = jwt.encode({"sub": "ann", "email": "ann@example.com", "exp": NOW // 1000 + 86_400}, SECRET)


class Gone(Exception):
    pass


class Management:
    """A fake of boto3's client of the management API. It records posted messages and closed connections."""

    exceptions = SimpleNamespace(GoneException=Gone)

    def __init__(self) -> None:
        self.posted: list[str] = []
        self.closed: list[str] = []

    def post_to_connection(self, *, ConnectionId: str, Data: bytes) -> None:  # noqa: N803 - boto3's names
        self.posted.append(Data.decode())

    def delete_connection(self, *, ConnectionId: str) -> None:  # noqa: N803 - boto3's names
        self.closed.append(ConnectionId)


@pytest.fixture
def management(monkeypatch: pytest.MonkeyPatch) -> Management:
    client = Management()
    monkeypatch.setattr(boto_clients, "management", cache(lambda endpoint: client))
    return client


def load(name: str) -> ModuleType:
    """Load a function as a new execution environment does, with the variables that are set at this moment."""
    loaded = sys.modules.get(f"functions.{name}")
    return importlib.reload(loaded) if loaded else importlib.import_module(f"functions.{name}")


def with_settings(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    """Change settings for functions that are loaded from now on."""
    document = json.loads(os.environ["CHAINCAST_SETTINGS"])
    monkeypatch.setenv("CHAINCAST_SETTINGS", json.dumps({**document, **settings}))


def with_auth(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    with_settings(monkeypatch, auth=mode)
    monkeypatch.setattr("functions.composition.jwt_secret", lambda: SECRET)


def event(kind: str, body: str | None = None, query: dict[str, str] | None = None) -> WebSocketEvent:
    fields: dict[str, object] = {
        "requestContext": {
            "connectionId": "c1=",
            "eventType": kind,
            "routeKey": "$default",
            "requestTimeEpoch": NOW,
            "identity": {"sourceIp": "203.0.113.9"},
        },
        "body": body,
        "queryStringParameters": query,
    }
    return fields  # type: ignore[return-value]  # as API Gateway makes it


def connect(**query: str) -> dict[str, Any]:
    answer: dict[str, Any] = load("connect").handler(event("CONNECT", None, query or None), Context())
    return answer


def send_message(module: ModuleType, message: object) -> str | None:
    """Send a message. Return the reply; None if there is none."""
    body = message if isinstance(message, str) else json.dumps(message)
    answer = module.handler(event("MESSAGE", body), Context())
    assert answer["statusCode"] == 200
    body = answer.get("body")
    return body if isinstance(body, str) else None


def record() -> Connection:
    stored = ConnectionStore(boto_clients.dynamodb(), environment.CONNECTIONS.lower()).get("c1=")
    assert stored is not None
    return stored


def subscribed_topics() -> dict[str, str]:
    """Return the subscribed topics, each with the dialect that its events are sent in."""
    rows = [item for item in items(environment.SUBSCRIPTIONS) if not item["topic_shard"]["S"].startswith("connection/")]
    return {row["topic_shard"]["S"].rpartition("#")[0]: row["dialect"]["S"] for row in rows}


def jobs() -> tuple[int, int]:
    """Return the numbers of messages in the lifecycle queue that are visible, and that are delayed."""
    attributes = boto_clients.sqs().get_queue_attributes(
        QueueUrl=os.environ[environment.LIFECYCLE_QUEUE],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"],
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]), int(attributes["ApproximateNumberOfMessagesDelayed"])


def token(user: str = "ann", seconds: float = 86_400, **claims: object) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + seconds, **claims}, SECRET)


def at(message: ModuleType, monkeypatch: pytest.MonkeyPatch, ms: int) -> None:
    """Set the clock of the message function."""
    monkeypatch.setattr(message.message_handler, "_clock", lambda: ms)


class Lifecycle:
    """The handler of the lifecycle queue, with a poster that records messages and a clock that a test sets."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        """The messages that clients received, parsed."""
        self._now_ms = NOW
        settings, metrics, logger = Settings.from_environment(), MetricsRecorder("lifecycle"), make_logger("lifecycle")
        connections, clock = session_stores().connections, lambda: self._now_ms
        services = (lambda: connections, management_api, lifecycle_queue)
        self._handler = LifecycleHandler(
            Greeter(settings, self, lambda: connections, metrics, logger, clock=clock),
            DeadlineEnforcer(settings, self, *services, metrics, clock),
            self._no_replays,
            metrics,
            logger,
        )

    async def deliver(self, payloads: Iterable[bytes], connections: Iterable[str]) -> Outcomes:
        self.posted += [json.loads(payload) for payload in payloads]
        return Outcomes(posted=len([*connections]))

    def run(self, *jobs: Job, at_s: float) -> None:
        """Run jobs at a time (s)."""
        self._now_ms = int(at_s * 1000)
        records: list[SqsRecord] = [
            {
                "messageId": str(number),
                "body": encode_job(job),
                "receiptHandle": "",
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for number, job in enumerate(jobs)
        ]
        response = asyncio.run(self._handler.handle({"Records": records}, 30_000))
        assert response == {"batchItemFailures": []}

    @staticmethod
    def _no_replays() -> Replays:
        raise AssertionError("these tests replay nothing")


def open_connection(connection_id: str, ip: str = "203.0.113.9", **query: str) -> dict[str, Any]:
    handshake = event("CONNECT", None, query or None)
    handshake["requestContext"]["connectionId"] = connection_id
    handshake["requestContext"]["identity"]["sourceIp"] = ip
    answer: dict[str, Any] = load("connect").handler(handshake, Context())
    return answer
