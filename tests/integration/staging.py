"""The setting of the fan-out's tests: a table with subscribers, the function, and a scripted gateway."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

from chaincast.aws import environment
from chaincast.aws.lambda_events import SqsRecord
from chaincast.fanout.messages import DeliverBatch, FanoutMessage, encode_message
from chaincast.model.batches import Batch
from chaincast.model.sharding import ShardAssignment
from chaincast.sessions.connection_store import Connection, ConnectionStore
from tests.factories import make_batch, make_event
from tests.integration.helpers import subscriptions
from tests.integration.scripted import ScriptedServer
from tests.lambda_functions import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NOW = 1_700_000_000_000
V1 = "chaincast.v1"


class Stage:
    """A table with subscribers, a scripted gateway, and the function between them."""

    def __init__(self, gateway: ScriptedServer, module: ModuleType, database: DynamoDBClient) -> None:
        self.gateway = gateway
        self.module = module
        self.retried: list[SqsRecord] = []
        self._connections = ConnectionStore(database, environment.CONNECTIONS.lower())
        self._database = database
        module.worker._retries = lambda: SimpleNamespace(retry_soon=self.retried.extend)

    def subscribe(self, connection_id: str, *topics: str, shards: int = 1, kinds: Sequence[str] = ()) -> None:
        self._connections.put(Connection(connection_id, V1, "", "", NOW))
        table = subscriptions(shards)
        table.add(connection_id, V1, topics, kinds, 50, NOW)

    def run(self, *records: SqsRecord, milliseconds: int = 60_000) -> list[str]:
        """Invoke the function. Return the ids of the messages that failed."""
        answer = self.module.handler({"Records": list(records)}, Context(milliseconds))
        failed = [f["itemIdentifier"] for f in answer["batchItemFailures"]]
        assert failed == [r["messageId"] for r in self.retried]
        self.retried.clear()
        return failed

    def cursors(self, connection: str) -> list[str]:
        return [json.loads(body)["cursor"] for body in self.gateway.posts[connection]]

    def told(self, connection: str) -> list[str]:
        """Return the ids of the events that a connection has received."""
        return [e["id"] for body in self.gateway.posts[connection] for e in json.loads(body)["events"]]


def record(work: Batch | FanoutMessage, group: str = "anvil#0", receives: int = 1) -> SqsRecord:
    if isinstance(work, Batch):
        work = DeliverBatch(ShardAssignment(1, 0, (1,)), work)
    seq = work.batch.seq if isinstance(work, DeliverBatch) else work.seq
    return {
        "messageId": f"{group} {type(work).__name__} {seq}",
        "receiptHandle": f"handle {seq}",
        "body": encode_message(work),
        "attributes": {
            "MessageGroupId": group,
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": str(NOW),
        },
    }


def batch(seq: int, *logs: int, source: str = "anvil") -> Batch:
    return make_batch(
        *(make_event(i, network=source, block=seq) for i in logs or (0,)), seq=seq, block=seq, source=source
    )


def ids(*batches: Batch) -> list[str]:
    return [e.id for b in batches for e in b.events]
