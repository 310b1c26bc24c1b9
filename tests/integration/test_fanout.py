"""The fan-out function against moto's table and a gateway that answers as told."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from chaincast.aws import resources
from chaincast.aws.connections import Connection, Connections
from chaincast.aws.queue import encode_body
from chaincast.aws.subscriptions import Subscriptions
from chaincast.batches import Batch
from functions.events import SqsEvent, SqsRecord
from tests.factories import make_batch, make_event
from tests.integration.helpers import Context, items
from tests.integration.scripted import ScriptedServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

NOW = 1_700_000_000_000


@pytest.fixture
def gateway(database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    # boto3's client is made before, and stays with moto.
    with ScriptedServer() as server:
        monkeypatch.setenv(resources.MANAGEMENT_ENDPOINT, f"{server.url}/prod")
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        yield server


@pytest.fixture
def fanout(gateway: ScriptedServer, database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The function's module as a fresh execution environment imports it."""
    sys.modules.pop("functions.fanout", None)
    module = importlib.import_module("functions.fanout")
    # boto3's own calls stay with moto.
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    yield module
    module.management.close()
    module.database.close()
    module.loop.run_until_complete(module.loop.shutdown_default_executor())
    module.loop.close()
    sys.modules.pop("functions.fanout")


@pytest.fixture
def subscribe(database: DynamoDBClient) -> object:
    connections = Connections(database, resources.CONNECTIONS.lower())
    subscriptions = Subscriptions(database, resources.SUBSCRIPTIONS.lower(), 1)

    def add(connection_id: str, *topics: str) -> None:
        connections.put(Connection(connection_id, "chaincast.v1", "", "", NOW))
        subscriptions.add(connection_id, "chaincast.v1", topics, 50, NOW)

    return add


def event_of(*batches: Batch, group: str = "anvil#0") -> SqsEvent:
    return {"Records": [record(b, group) for b in batches]}


def record(batch: Batch, group: str = "anvil#0", receives: int = 1) -> SqsRecord:
    return {
        "messageId": f"{group} {batch.cursor}",
        "receiptHandle": f"handle {batch.cursor}",
        "body": encode_body(batch),
        "attributes": {
            "MessageGroupId": group,
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": str(NOW),
        },
    }


def batch(seq: int, *logs: int, source: str = "anvil") -> Batch:
    return make_batch(*(make_event(i, network=source) for i in logs or (0,)), seq=seq, source=source)


def cursors(gateway: ScriptedServer, connection: str) -> list[str]:
    return [json.loads(body)["cursor"] for body in gateway.posts[connection]]


def failed(answer: dict[str, list[dict[str, str]]]) -> list[str]:
    return [f["itemIdentifier"] for f in answer["batchItemFailures"]]


def test_batches_reach_their_subscribers_in_order(
    fanout: ModuleType, gateway: ScriptedServer, subscribe: object
) -> None:
    subscribe("a", "network:anvil")  # type: ignore[operator]  # the fixture's function
    subscribe("b", "trades:*:*")  # type: ignore[operator]  # as above
    subscribe("c", "tokens:anvil")  # type: ignore[operator]  # as above
    answer = fanout.handler(event_of(*(batch(i, 0, 1) for i in range(1, 6))), Context())
    assert failed(answer) == []
    assert cursors(gateway, "a") == cursors(gateway, "b") == [f"{i:012d}" for i in range(1, 6)]
    assert gateway.posts["c"] == []


def test_who_is_gone_is_forgotten(fanout: ModuleType, gateway: ScriptedServer, subscribe: object) -> None:
    subscribe("a", "network:anvil", "price:BTC")  # type: ignore[operator]  # the fixture's function
    subscribe("b", "network:anvil")  # type: ignore[operator]  # as above
    gateway.script["a"].append(410)
    assert failed(fanout.handler(event_of(batch(1)), Context())) == []
    assert {i["connection_id"]["S"] for i in items(resources.CONNECTIONS)} == {"b"}
    assert {i["connection_id"]["S"] for i in items(resources.SUBSCRIPTIONS)} == {"b"}
    assert len(gateway.posts["b"]) == 1


def test_a_failed_batch_and_those_behind_it_are_handed_back_other_groups_go_on(
    fanout: ModuleType, gateway: ScriptedServer, subscribe: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe("a", "network:anvil")  # type: ignore[operator]  # the fixture's function
    subscribe("b", "network:bsc")  # type: ignore[operator]  # as above
    retried: list[SqsRecord] = []
    monkeypatch.setattr(fanout, "_retry_soon", retried.extend)
    gateway.script["a"].extend([200, 500, 500, 500, 500])
    records = [record(batch(i)) for i in (1, 2, 3)]
    others = [record(batch(i, source="bsc"), group="bsc#0") for i in (1, 2)]
    answer = fanout.handler({"Records": [records[0], others[0], *records[1:], others[1]]}, Context())
    assert failed(answer) == ["anvil#0 000000000002", "anvil#0 000000000003"]
    assert retried == records[1:]
    assert cursors(gateway, "a") == ["000000000001"]
    assert cursors(gateway, "b") == ["000000000001", "000000000002"]


def test_a_damaged_message_stops_its_group_only(
    fanout: ModuleType, gateway: ScriptedServer, subscribe: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe("a", "network:*")  # type: ignore[operator]  # the fixture's function
    monkeypatch.setattr(fanout, "_retry_soon", lambda records: None)
    broken: SqsRecord = {**record(batch(1)), "body": "nonsense"}
    answer = fanout.handler(
        {"Records": [broken, record(batch(2)), record(batch(1, source="bsc"), group="bsc#0")]}, Context()
    )
    assert failed(answer) == ["anvil#0 000000000001", "anvil#0 000000000002"]
    assert len(gateway.posts["a"]) == 1


def test_a_throttled_query_is_tried_again(fanout: ModuleType, gateway: ScriptedServer, subscribe: object) -> None:
    subscribe("a", "network:anvil")  # type: ignore[operator]  # the fixture's function
    gateway.script["query"].extend([400, 500, "drop"])
    assert failed(fanout.handler(event_of(batch(1)), Context())) == []
    assert cursors(gateway, "a") == ["000000000001"]


def test_with_too_little_time_left_everything_is_handed_back(
    fanout: ModuleType, gateway: ScriptedServer, subscribe: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe("a", "network:anvil")  # type: ignore[operator]  # the fixture's function
    monkeypatch.setattr(fanout, "_retry_soon", lambda records: None)
    answer = fanout.handler(event_of(batch(1), batch(2)), Context(milliseconds=fanout.RESERVE_MS - 1))
    assert len(failed(answer)) == 2
    assert gateway.posts["a"] == []


@pytest.mark.parametrize(("receives", "seconds"), [(1, 1), (2, 2), (4, 8), (30, 60)])
def test_handed_back_messages_come_again_soon_and_ever_later(
    fanout: ModuleType, queues: SQSClient, monkeypatch: pytest.MonkeyPatch, receives: int, seconds: int
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(queues, "change_message_visibility", lambda **parameters: asked.append(parameters))
    fanout._retry_soon([record(batch(1), receives=receives)])
    assert [(a["ReceiptHandle"], a["VisibilityTimeout"]) for a in asked] == [("handle 000000000001", seconds)]
