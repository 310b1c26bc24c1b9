"""The path of a resuming client on moto: message function, replay and fan-out, with a gateway that stores posts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from chaincast.aws import environment
from chaincast.aws.lambda_events import SqsRecord
from chaincast.eventlog.checkpoint import checkpoint_key
from chaincast.eventlog.log_store import Log
from chaincast.fanout.messages import DeliverBatch, encode_message
from chaincast.jobs.messages import Job, encode_job, parse_job
from chaincast.model.batches import Batch, encode_parts
from chaincast.model.sharding import ShardAssignment
from chaincast.sessions.connection_store import Connection, ConnectionStore
from tests.factories import TOKEN, make_batch, make_event
from tests.integration.handlers import load
from tests.integration.helpers import end_loop, receive_all
from tests.integration.scripted import ScriptedServer
from tests.lambda_functions import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Answer: TypeAlias = dict[str, Any]  # parsed JSON

NOW = 1_700_000_000_000
V1 = "chaincast.v1"


class Stack:
    """The three functions, the Log and a gateway."""

    def __init__(self, gateway: ScriptedServer, database: DynamoDBClient) -> None:
        self.gateway = gateway
        self._database = database
        self._log = Log(database, environment.LOG.lower(), 3600)
        self._connections = ConnectionStore(database, environment.CONNECTIONS.lower())
        self.message, self.lifecycle, self.fanout = (load(name) for name in ("message", "lifecycle", "fanout"))

    def append(self, *batches: Batch) -> None:
        for batch in batches:
            for part in encode_parts(batch):
                write = self._log.put_request(part)["Put"]
                self._database.put_item(TableName=write["TableName"], Item=write["Item"])
            self._database.update_item(
                TableName=environment.STATE.lower(),
                Key=checkpoint_key(batch.source),
                UpdateExpression="SET seq = :s",
                ExpressionAttributeValues={":s": {"N": str(batch.seq)}},
            )

    def connect(self, connection_id: str = "c1") -> None:
        self._connections.put(Connection(connection_id, V1, "", "", NOW))

    def subscribe(self, *topics: str, connection_id: str = "c1", **more: object) -> Answer:
        event = {
            "requestContext": {"connectionId": connection_id, "eventType": "MESSAGE"},
            "body": json.dumps({"type": "subscribe", "topics": topics, **more}),
        }
        answer: Answer = json.loads(self.message.handler(event, Context())["body"])
        return answer

    def jobs(self) -> list[Any]:
        return receive_all(environment.LIFECYCLE_QUEUE)

    def work_off(self, milliseconds: int = 30_000) -> list[Any]:
        """Run the jobs of the lifecycle queue, and return them."""
        jobs = [parse_job(body) for body in self.jobs()]
        self.run(*jobs, milliseconds=milliseconds)
        return jobs

    def run(self, *jobs: Job, milliseconds: int = 30_000) -> None:
        """Run jobs in the lifecycle function."""
        attributes = {"ApproximateReceiveCount": "1"}
        records = [
            {"messageId": str(number), "body": encode_job(job), "attributes": attributes}
            for number, job in enumerate(jobs)
        ]
        response = self.lifecycle.handler({"Records": records}, Context(milliseconds))
        assert response == {"batchItemFailures": []}

    def fan_out(self, *batches: Batch) -> None:
        records: list[SqsRecord] = [
            {
                "messageId": str(batch.seq),
                "receiptHandle": "",
                "body": encode_message(DeliverBatch(ShardAssignment(1, 0, (1,)), batch)),
                "attributes": {
                    "MessageGroupId": f"{batch.source}#0",
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(NOW),
                },
            }
            for batch in batches
        ]
        assert self.fanout.handler({"Records": records}, Context()) == {"batchItemFailures": []}

    def told(self, connection: str = "c1") -> list[str]:
        """Return the ids of the events that a connection received."""
        found = []
        for body in self.gateway.posts[connection]:
            found += [e["id"] for e in json.loads(body).get("events", [])]
        return found

    def cursors(self, connection: str = "c1") -> list[str]:
        return [json.loads(body)["cursor"] for body in self.gateway.posts[connection]]

    def close(self) -> None:
        end_loop(self.lifecycle.loop, self.lifecycle.management, self.lifecycle.database)
        end_loop(self.fanout.loop, self.fanout.management, self.fanout.database, self.fanout.queues)


def batch(seq: int, *, token: str = TOKEN, source: str = "anvil") -> Batch:
    return make_batch(make_event(0, token=token, block=seq, network=source), seq=seq, block=seq, source=source)


def ids(*batches: Batch) -> list[str]:
    return [e.id for b in batches for e in b.events]
