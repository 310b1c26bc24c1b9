"""Fixtures: AWS in this process, by moto, with the tables and queues of the stack."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from chaincast.aws import boto_clients, environment
from chaincast.config.function_settings import Settings
from chaincast.eventlog.contract_store import Contracts
from chaincast.eventlog.history_store import History
from chaincast.eventlog.lease import Lease
from chaincast.eventlog.log_store import Log
from chaincast.fanout.queue import FanoutQueue
from listener.sink import Sink
from local.stack.chain import Node
from local.stack.checkout import free_port
from tests.integration import handlers
from tests.integration.helpers import end_loop
from tests.integration.scripted import ScriptedServer
from tests.integration.staging import Stage
from tests.lambda_functions import SETTINGS, TABLES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

management = handlers.management


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Provide empty tables and queues of the stack, and the environment of a function."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "CHAINCAST_")):
            monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDTEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_LAMBDA_FUNCTION_NAME": "test",
        "POWERTOOLS_METRICS_NAMESPACE": "Chaincast",
        "CHAINCAST_SETTINGS": SETTINGS.to_json(),
        environment.MANAGEMENT_ENDPOINT: "http://127.0.0.1:9/prod",
        environment.COUNTER_SECONDS: "60",  # tests read the counters after an invocation
        **{variable: variable.lower() for variable in TABLES},
    }.items():
        monkeypatch.setenv(name, value)
    for cached in (boto_clients.dynamodb, boto_clients.sqs, boto_clients.management):
        cached.cache_clear()
    with mock_aws():
        database = boto3.client("dynamodb")
        for variable, (partition_key, sort_key) in TABLES.items():
            _create(database, variable.lower(), partition_key, sort_key)
        queues = boto3.client("sqs")
        fanout = queues.create_queue(
            QueueName="fanout.fifo",
            Attributes={
                "FifoQueue": "true",
                "DeduplicationScope": "messageGroup",
                "FifoThroughputLimit": "perMessageGroupId",
            },
        )["QueueUrl"]
        monkeypatch.setenv(environment.FANOUT_QUEUE, fanout)
        monkeypatch.setenv(environment.LIFECYCLE_QUEUE, queues.create_queue(QueueName="lifecycle")["QueueUrl"])
        yield
    for cached in (boto_clients.dynamodb, boto_clients.sqs, boto_clients.management):
        cached.cache_clear()


def _create(database: DynamoDBClient, name: str, partition_key: str, sort_key: str | None) -> None:
    keys = [key for key in (partition_key, sort_key) if key]
    indexes = []
    types = dict.fromkeys(keys, "S")
    if name == environment.CONNECTIONS.lower():
        types |= {"beat": "S", "seen": "N"}
        indexes = [
            {
                "IndexName": "by_beat",
                "KeySchema": [
                    {"AttributeName": "beat", "KeyType": "HASH"},
                    {"AttributeName": "seen", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ]
    database.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": key, "KeyType": "HASH" if i == 0 else "RANGE"} for i, key in enumerate(keys)],
        AttributeDefinitions=[{"AttributeName": k, "AttributeType": t} for k, t in types.items()],  # type: ignore[typeddict-item]  # letters known above
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),  # type: ignore[arg-type]  # as above
    )


@pytest.fixture
def database() -> DynamoDBClient:
    return boto_clients.dynamodb()


@pytest.fixture
def queues() -> SQSClient:
    return boto_clients.sqs()


@pytest.fixture
def settings() -> Settings:
    return SETTINGS


@pytest.fixture
def make_sink(database: DynamoDBClient, queues: SQSClient, monkeypatch: pytest.MonkeyPatch) -> object:
    def make(owner: str = "one", lease_seconds: float = 15, shards: int = 1) -> Sink:
        state = environment.STATE.lower()
        return Sink(
            Lease(database, state, "anvil", owner, lease_seconds),
            Log(database, environment.LOG.lower(), 3600),
            History(database, environment.HISTORY.lower(), 3600),
            Contracts(database, state, "anvil"),
            FanoutQueue(queues, os.environ[environment.FANOUT_QUEUE]),
            shards,
        )

    return make


@pytest.fixture
def silent_node(tmp_path: Path) -> Iterator[Node]:
    """Provide a real node that mines only on request."""
    node = Node(free_port())
    child = node.start(tmp_path / "anvil.log", block_time=None)
    try:
        yield node
    finally:
        child.stop()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Provide a server with scripted responses."""
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def gateway(database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Provide a gateway with scripted responses, which is also DynamoDB and SQS for the asynchronous clients."""
    # boto3's clients are made before, and stay with moto.
    boto_clients.sqs()
    with ScriptedServer() as server:
        monkeypatch.setenv(environment.MANAGEMENT_ENDPOINT, f"{server.url}/prod")
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)
        yield server


@pytest.fixture
def fanout(gateway: ScriptedServer, database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Import the function's module as a fresh execution environment does."""
    sys.modules.pop("functions.fanout", None)
    module = importlib.import_module("functions.fanout")
    # boto3's own calls stay with moto.
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    yield module
    end_loop(module.loop, module.management, module.database, module.queues)
    sys.modules.pop("functions.fanout")


@pytest.fixture
def stage(fanout: ModuleType, gateway: ScriptedServer, database: DynamoDBClient) -> Stage:
    """Provide the fan-out function between moto's tables and the scripted gateway."""
    return Stage(gateway, fanout, database)
