"""Tests of `/health`, `/lb/status`, `/status` and `/metrics` with tables as the functions fill them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chaincast.aws import boto_clients, environment
from chaincast.http_api.documents import BalancerStatus, Health, Status
from chaincast.metrics.catalogue import COUNTERS, GAUGES, HISTOGRAMS, prometheus_name
from listener.sink import Sink
from tests.factories import http_event, make_batch, make_event
from tests.integration.handlers import (
    TOKEN_OF_ANN,
    Management,
    connect,
    event,
    load,
    open_connection,
    send_message,
    with_settings,
)
from tests.lambda_functions import Context

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

TOKEN = "f" * 48


@pytest.fixture
def status(monkeypatch: pytest.MonkeyPatch, queues: SQSClient) -> Callable[[], ModuleType]:
    for variable in (environment.FANOUT_DLQ, environment.LIFECYCLE_DLQ):
        monkeypatch.setenv(variable, queues.create_queue(QueueName=variable.lower())["QueueUrl"])
    with_settings(monkeypatch, block_ms={"anvil": 1000}, metrics_token=True)

    def made() -> ModuleType:
        module = load("status")
        monkeypatch.setattr(module.status_handler, "_metrics_token", lambda: TOKEN)
        monkeypatch.setenv(environment.METRICS_TOKEN, "metrics-token")
        return module

    return made


def get(module: ModuleType, path: str, token: str = "") -> tuple[int, dict[str, Any]]:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    answer = module.handler(http_event("GET", path, headers=headers), Context())
    return answer["statusCode"], json.loads(answer["body"])


def figures(module: ModuleType) -> dict[str, dict[tuple[str, ...], float]]:
    """The samples of `/metrics`: by name, then by the labels' values."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = module.handler(http_event("GET", "/metrics", headers=headers), Context())
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"].startswith("text/plain; version=0.0.4")
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(answer["body"]):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_everything_is_well(status: Callable[[], ModuleType], make_sink: Callable[..., Sink]) -> None:
    sink = make_sink()
    sink.take_over("anvil")
    sink.observe_head(9)
    sink.write(replace(make_batch(make_event(), seq=1), timestamp=4_000_000_000_000), [])
    code, found = get(status(), "/health")
    assert (code, found["status"], found["healthy"], found["problems"]) == (200, "ok", True, [])
    assert found["services"]["listeners"] == {"anvil": {"status": "ok", "block": 7, "lagBlocks": 2, "lagSeconds": 0.0}}
    assert found["services"]["tables"] == dict.fromkeys(
        ("connections", "subscriptions", "log", "history", "state"), True
    )
    Health.model_validate(found)


def test_the_five_servers_fields_are_there(status: Callable[[], ModuleType]) -> None:
    _, found = get(status(), "/health")
    assert {"status", "timestamp", "uptime", "version", "connections", "services", "metrics"} <= found.keys()
    assert {"redis", "kafka", "auth", "stacksWebSocket", "websocket"} <= found["services"].keys()
    assert found["metrics"].keys() == {"totalConnections", "activeConnections", "messagesSent", "messagesReceived"}
    assert found["timestamp"].endswith("Z")


def test_what_is_wrong_is_said(
    status: Callable[[], ModuleType], make_sink: Callable[..., Sink], queues: SQSClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = make_sink()
    sink.take_over("anvil")
    sink.observe_head(9)
    sink.write(make_batch(make_event(), seq=1), [])
    with_settings(monkeypatch, auth="optional", auth_service="http://127.0.0.1:9/verify")
    module = status()
    queues.send_message(QueueUrl=environment.require_env(environment.LIFECYCLE_DLQ), MessageBody="x")
    queues.delete_queue(QueueUrl=environment.require_env(environment.FANOUT_QUEUE))
    code, found = get(module, "/health")
    assert (code, found["status"], found["healthy"]) == (200, "degraded", False)
    assert found["services"]["auth"] is found["services"]["publish"] is found["services"]["kafka"] is False
    assert found["problems"] == [
        "queue fanout does not answer",
        "the listener of anvil is late",
        "tokens cannot be checked: the auth service, or what keys are read from, does not answer",
        "1 messages wait in dead-letter queue lifecycle-dead",
    ]


def test_a_listener_that_nobody_runs_is_silent(status: Callable[[], ModuleType]) -> None:
    _, found = get(status(), "/health")
    assert found["services"]["listeners"]["anvil"]["status"] == "silent"


@pytest.mark.parametrize("table", [environment.STATE, environment.CONNECTIONS])
def test_without_a_table_it_is_down(status: Callable[[], ModuleType], table: str) -> None:
    module = status()
    boto_clients.dynamodb().delete_table(TableName=table.lower())
    assert get(module, "/health")[0] == 503
    code, found = get(module, "/lb/status")
    assert (code, found["status"], found["healthy"]) == (503, "unhealthy", False)


def test_balancers_are_told_in_short(status: Callable[[], ModuleType]) -> None:
    code, found = get(status(), "/lb/status")
    assert (code, BalancerStatus.model_validate(found).healthy) == (200, True)


@pytest.mark.parametrize("path", ["/metrics", "/status"])
def test_figures_are_for_who_has_the_token(
    status: Callable[[], ModuleType], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = status()
    assert (get(module, path)[0], get(module, path)[1]["code"]) == (401, "AUTH_REQUIRED")
    for wrong in ("x", TOKEN[:-1], TOKEN + "x", "ü", "\udcff"):
        assert get(module, path, wrong)[1]["code"] == "AUTH_FAILED"
    with_settings(monkeypatch, metrics_token=False)
    answer = status().handler(http_event("GET", path), Context())
    assert answer["statusCode"] == 200


def test_status_has_the_settings_and_every_figure(status: Callable[[], ModuleType]) -> None:
    connect()
    _, found = get(status(), "/status", TOKEN)
    document = Status.model_validate(found)
    assert document.settings["networks"] == ["anvil"]
    assert document.counts["Connections|dialect=chaincast.v1"] == 1


def test_every_metric_of_the_catalogue_is_there_before_anything_happened(status: Callable[[], ModuleType]) -> None:
    module = status()
    headers = {"authorization": f"Bearer {TOKEN}"}
    text = module.handler(http_event("GET", "/metrics", headers=headers), Context())["body"]
    names = {family.name for family in text_string_to_metric_families(text)}
    assert {prometheus_name(name) for name in (*COUNTERS, *HISTOGRAMS, *GAUGES)} <= names


def test_figures_are_what_happened(
    management: Management, status: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_settings(monkeypatch, auth="optional", allow_query_token=True, limits={"connections_per_minute": 3})
    monkeypatch.setattr("functions.composition.jwt_secret", lambda: "s" * 64)
    for name in ("c1=", "c2", "c3", "c4", "c5"):
        open_connection(name, token=TOKEN_OF_ANN)
    open_connection("m1", ip="203.0.113.10", dialect="moonx")
    open_connection("x1", ip="203.0.113.11", token="nonsense")
    message = load("message")
    send_message(message, {"type": "subscribe", "topics": ["tokens:anvil", "trades:anvil:*"]})
    for _ in range(3):
        send_message(message, {"type": "ping"})
    send_message(message, {"type": "nonsense"})
    load("disconnect").handler(_closing("c2"), Context())
    found = figures(status())
    assert found["chaincast_connections"] == {("chaincast.v1",): 2, ("moonx",): 1}
    assert found["chaincast_subscriptions"] == {(): 2}
    assert found["chaincast_connections_opened_total"] == {("chaincast.v1",): 3, ("moonx",): 1}
    assert found["chaincast_connections_closed_total"] == {("chaincast.v1",): 1}
    assert found["chaincast_connections_refused_total"] == {("RATE_LIMITED",): 2, ("AUTH_FAILED",): 1}
    assert found["chaincast_rate_limit_hits_total"] == {("RATE_LIMITED",): 2}
    assert found["chaincast_authentications_total"] == {("ACCEPTED",): 3, ("AUTH_FAILED",): 1}
    assert found["chaincast_messages_in_total"] == {("chaincast.v1",): 5}
    assert found["chaincast_messages_out_total"] == {("answer",): 5}
    assert found["chaincast_errors_total"] == {("UNKNOWN_TYPE",): 1}
    assert found["chaincast_listener_up"] == {("anvil",): 0}
    assert found["chaincast_queued_messages"][("lifecycle",)] == 4, "greetings that nobody has taken"


def _closing(name: str) -> Any:
    made = event("DISCONNECT")
    made["requestContext"]["connectionId"] = name
    return made


def test_what_was_found_is_good_for_seconds(status: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    module = status()
    _, before = get(module, "/health")
    connect()
    assert get(module, "/health")[1] == before
    monkeypatch.setattr("chaincast.status.status_handler.FRESH_SECONDS", 0)
    assert get(module, "/health")[1]["connections"] == 1


def test_pages_that_this_deployment_was_made_without(status: Callable[[], ModuleType]) -> None:
    code, found = get(status(), "/docs")
    assert (code, found["code"]) == (404, "UNKNOWN_ROUTE")
    assert get(status(), "/nowhere")[1]["message"].startswith("'GET /nowhere' is not known")
