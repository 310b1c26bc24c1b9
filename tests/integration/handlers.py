"""The functions' handlers as a test calls them, on moto: connections, messages, jobs, and who tells them what."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from types import ModuleType, SimpleNamespace
from typing import Any

import jwt
import pytest

from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import WebSocketEvent
from chaincast.sessions.connection_store import Connection, Connections
from tests.integration.helpers import Context, items

SECRET = "s" * 64
NOW = int(time.time() * 1000)
TOKEN_OF_ANN = jwt.encode({"sub": "ann", "email": "ann@example.com", "exp": NOW // 1000 + 86_400}, SECRET)


class Gone(Exception):
    pass


class Management:
    """Stands where the API's management endpoint is: what was posted, and who was closed."""

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
    found = Management()
    monkeypatch.setenv(environment.MANAGEMENT_ENDPOINT, "http://127.0.0.1:9/prod")
    monkeypatch.setattr(boto_clients, "management", cache(lambda endpoint: found))
    return found


@pytest.fixture(autouse=True)
def fresh_modules() -> Iterator[None]:
    yield
    for name in ("connect", "disconnect", "message", "heartbeat", "lifecycle", "ticket", "admin", "status"):
        sys.modules.pop(f"functions.{name}", None)


def load(name: str) -> ModuleType:
    sys.modules.pop(f"functions.{name}", None)
    module = importlib.import_module(f"functions.{name}")
    if name == "lifecycle":  # moto answers boto3 alone
        module.telemetry._write = lambda update: boto_clients.dynamodb().update_item(**update)
    return module


def with_settings(monkeypatch: pytest.MonkeyPatch, **settings: object) -> None:
    """Other settings than the defaults, for functions loaded from now on."""
    document = json.loads(os.environ["CHAINCAST_SETTINGS"])
    monkeypatch.setenv("CHAINCAST_SETTINGS", json.dumps({**document, **settings}))


def with_auth(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    with_settings(monkeypatch, auth=mode)
    monkeypatch.setattr("chaincast.auth.factory.secret", lambda variable: SECRET)


def event(kind: str, body: str | None = None, query: dict[str, str] | None = None) -> WebSocketEvent:
    made: dict[str, object] = {
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
    return made  # type: ignore[return-value]  # as API Gateway makes it


def connect(**query: str) -> dict[str, Any]:
    answer: dict[str, Any] = load("connect").handler(event("CONNECT", None, query or None), Context())
    return answer


def say(module: ModuleType, message: object) -> str | None:
    """What is answered, if anything."""
    body = message if isinstance(message, str) else json.dumps(message)
    answer = module.handler(event("MESSAGE", body), Context())
    assert answer["statusCode"] == 200
    body = answer.get("body")
    return body if isinstance(body, str) else None


def record() -> Connection:
    found = Connections(boto_clients.dynamodb(), environment.CONNECTIONS.lower()).get("c1=")
    assert found is not None
    return found


def held() -> dict[str, str]:
    """Topics the connection listens to, with the dialect they are told in."""
    rows = [item for item in items(environment.SUBSCRIPTIONS) if not item["topic_shard"]["S"].startswith("connection/")]
    return {row["topic_shard"]["S"].rpartition("#")[0]: row["dialect"]["S"] for row in rows}


def jobs() -> tuple[int, int]:
    """Messages in the lifecycle queue that can be taken now, and that wait."""
    attributes = boto_clients.sqs().get_queue_attributes(
        QueueUrl=os.environ[environment.LIFECYCLE_QUEUE],
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"],
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"]), int(attributes["ApproximateNumberOfMessagesDelayed"])


def token(user: str = "ann", seconds: float = 86_400, **claims: object) -> str:
    return jwt.encode({"sub": user, "exp": time.time() + seconds, **claims}, SECRET)


def at(module: ModuleType, monkeypatch: pytest.MonkeyPatch, ms: int) -> None:
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: ms / 1000))


def opened(connection_id: str, ip: str = "203.0.113.9", **query: str) -> dict[str, Any]:
    made = event("CONNECT", None, query or None)
    made["requestContext"]["connectionId"] = connection_id
    made["requestContext"]["identity"]["sourceIp"] = ip
    answer: dict[str, Any] = load("connect").handler(made, Context())
    return answer
