"""connect, disconnect, message: each handler as a fresh execution environment runs it, on moto."""

from __future__ import annotations

import importlib
import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from chaincast.aws import clients, resources
from chaincast.aws.lifecycle import Greet, parse_job
from chaincast.errors import CodecError
from functions.events import WebSocketEvent
from tests.integration.helpers import Context, items

Answer: TypeAlias = dict[str, Any]  # parsed JSON

NOW = 1_700_000_000_000


def load(name: str) -> ModuleType:
    sys.modules.pop(f"functions.{name}", None)
    return importlib.import_module(f"functions.{name}")


@pytest.fixture(autouse=True)
def fresh_modules() -> Iterator[None]:
    yield
    for name in ("connect", "disconnect", "message"):
        sys.modules.pop(f"functions.{name}", None)


def make_event(kind: str, body: str | None = None, **extra: object) -> WebSocketEvent:
    event: dict[str, object] = {
        "requestContext": {
            "connectionId": "c1=",
            "eventType": kind,
            "routeKey": "$default",
            "requestTimeEpoch": NOW,
            "identity": {"sourceIp": "203.0.113.9"},
        },
        "body": body,
        **extra,
    }
    return event  # type: ignore[return-value]  # as API Gateway makes it


def connect(**extra: object) -> dict[str, Any]:
    answer: dict[str, Any] = load("connect").handler(make_event("CONNECT", None, **extra), Context())
    return answer


def say(module: ModuleType, message: object, **extra: object) -> Answer:
    body = message if isinstance(message, str) else json.dumps(message)
    answer = module.handler(make_event("MESSAGE", body, **extra), Context())
    assert answer["statusCode"] == 200
    parsed: Answer = json.loads(answer["body"])
    return parsed


def test_connecting_records_the_connection_and_orders_a_greeting() -> None:
    assert connect(headers={"Origin": "https://app.example"}) == {"statusCode": 200}
    record = items(resources.CONNECTIONS)[0]
    assert record["origin"]["S"] == "https://app.example"
    assert record["source_ip"]["S"] == "203.0.113.9"
    message = clients.sqs().receive_message(QueueUrl=os.environ[resources.LIFECYCLE_QUEUE])["Messages"][0]
    assert parse_job(message["Body"]) == Greet("c1=", "chaincast.v1")


def test_a_subprotocol_is_confirmed_and_a_wrong_dialect_refused() -> None:
    answer = connect(headers={"sec-websocket-protocol": "chaincast.v1"})
    assert answer["headers"] == {"Sec-WebSocket-Protocol": "chaincast.v1"}
    refused = connect(queryStringParameters={"dialect": "nope"})
    assert refused["statusCode"] == 400
    assert "UNKNOWN_DIALECT" in refused["body"]


def test_a_message_named_like_a_lifecycle_route_does_nothing() -> None:
    connect()
    assert load("connect").handler(make_event("MESSAGE"), Context()) == {"statusCode": 200}
    assert load("disconnect").handler(make_event("MESSAGE"), Context()) == {"statusCode": 200}
    assert len(items(resources.CONNECTIONS)) == 1


def test_subscribing_pinging_leaving() -> None:
    connect()
    message = load("message")
    subscribed = say(message, {"type": "subscribe", "id": 1, "topics": ["trades:ANVIL:*"]})
    assert subscribed == {"type": "subscribed", "id": 1, "topics": ["trades:anvil:*"]}
    assert {i["topic_shard"]["S"] for i in items(resources.SUBSCRIPTIONS)} == {"trades:anvil:*#1.0", "connection/c1="}
    assert say(message, {"type": "ping", "id": 2})["type"] == "pong"
    assert say(message, {"type": "unsubscribe", "id": 3, "topics": ["trades:anvil:*"]})["type"] == "unsubscribed"
    load("disconnect").handler(make_event("DISCONNECT"), Context())
    assert items(resources.CONNECTIONS) == items(resources.SUBSCRIPTIONS) == []


def test_a_binary_message_is_read_as_its_bytes() -> None:
    connect()
    body = b64encode(b'{"type":"ping"}').decode()
    assert say(load("message"), body, isBase64Encoded=True)["type"] == "pong"
    broken = b64encode(b"\xff{}").decode()
    assert say(load("message"), broken, isBase64Encoded=True)["code"] == "BAD_UTF8"


def test_a_lone_surrogate_is_bad_utf8() -> None:
    connect()
    assert say(load("message"), "\ud800")["code"] == "BAD_UTF8"


def test_who_is_not_on_record_is_told_to_connect_again() -> None:
    assert say(load("message"), {"type": "ping"})["code"] == "NOT_CONNECTED"
    assert items(resources.CONNECTIONS) == []


def test_a_fault_of_ours_is_answered_and_logged_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    connect()
    message = load("message")
    clients.dynamodb().delete_table(TableName=resources.SUBSCRIPTIONS.lower())
    answer = say(message, {"type": "subscribe", "id": 9, "topics": ["system"]})
    assert answer["code"] == "INTERNAL"
    assert "ResourceNotFound" not in answer["message"]
    assert "ResourceNotFoundException" in caplog.text


def test_jobs_that_are_none_are_refused() -> None:
    for body in ("", "[]", "{}", '{"job":"dance"}', '{"job":"greet"}', '{"job":"replay","connection_id":"c"}'):
        with pytest.raises(CodecError):
            parse_job(body)
