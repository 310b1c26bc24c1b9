"""The fan-out: a FIFO queue in groups of source and shard, and the function that delivers."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.functions import FunctionFactory, allow, consume
from infra.gateway import FORGET_CONNECTIONS, FORGET_PLACES, FORGET_SUBSCRIPTIONS, Gateway
from infra.storage import Storage

TIMEOUT = Duration.seconds(60)
MAX_RECEIVES = 12
"""With the function's own delays (1, 2, 4, … 60 s) some six minutes of trying, then the dead-letter queue."""


class Fanout(Construct):
    """Queue, dead-letter queue (FIFO too: it keeps the order) and function."""

    def __init__(
        self, scope: Construct, id_: str, *, storage: Storage, functions: FunctionFactory, gateway: Gateway
    ) -> None:
        super().__init__(scope, id_)
        self.dlq = sqs.Queue(self, "Dlq", fifo=True, enforce_ssl=True, retention_period=Duration.days(14))
        self.queue = sqs.Queue(
            self,
            "Queue",
            fifo=True,
            # High throughput: limits count per group, and so does deduplication.
            fifo_throughput_limit=sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
            deduplication_scope=sqs.DeduplicationScope.MESSAGE_GROUP,
            enforce_ssl=True,
            visibility_timeout=Duration.seconds(TIMEOUT.to_seconds() * 2),
            dead_letter_queue=sqs.DeadLetterQueue(queue=self.dlq, max_receive_count=MAX_RECEIVES),
        )
        self.function = functions.make(
            self,
            "Function",
            "fanout",
            environment={
                "CHAINCAST_CONNECTIONS_TABLE": storage.connections.table_name,
                "CHAINCAST_SUBSCRIPTIONS_TABLE": storage.subscriptions.table_name,
                "CHAINCAST_STATE_TABLE": storage.state.table_name,
                "CHAINCAST_FANOUT_QUEUE_URL": self.queue.queue_url,
                "CHAINCAST_MANAGEMENT_ENDPOINT": gateway.management_endpoint,
            },
            timeout=TIMEOUT,
            memory_mb=1769,  # one vCPU: the work is one thread's
        )
        allow(
            self.function,
            [storage.subscriptions.table_arn],
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            *FORGET_SUBSCRIPTIONS,
        )
        # Scan: announcements reach every connection.
        allow(self.function, [storage.connections.table_arn], "dynamodb:Scan", *FORGET_CONNECTIONS)
        allow(
            self.function,
            [storage.state.table_arn],
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            *FORGET_PLACES,
        )
        gateway.grant_manage(self.function, "POST")
        gateway.grant_manage(self.function, "DELETE")
        consume(self.function, self.queue, 10)
        self.queue.grant(self.function, "sqs:ChangeMessageVisibility")  # what is handed back is to come again soon
        # When the number of shards changes, those who read subscriptions learn of it before those who write them.
        gateway.functions["message"].node.add_dependency(self.function)

    def append_environment(self, storage: Storage) -> dict[str, str]:
        """What a function must know to append to the Logs of app sources."""
        return {
            "CHAINCAST_LOG_TABLE": storage.log.table_name,
            "CHAINCAST_STATE_TABLE": storage.state.table_name,
            "CHAINCAST_FANOUT_QUEUE_URL": self.queue.queue_url,
        }

    def grant_append(self, function: lambda_.Function, storage: Storage) -> None:
        """Let a function append to the Logs of app sources and queue what is there."""
        allow(function, [storage.log.table_arn], "dynamodb:PutItem", "dynamodb:Query")
        allow(function, [storage.state.table_arn], "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
        self.queue.grant(function, "sqs:SendMessage")

    def heal_from(self, function: lambda_.Function, storage: Storage) -> None:
        """Let a function queue what a publisher appended and did not live to queue."""
        allow(function, [storage.log.table_arn], "dynamodb:Query")
        allow(function, [storage.state.table_arn], "dynamodb:GetItem", "dynamodb:UpdateItem")
        self.queue.grant(function, "sqs:SendMessage")
        for name, value in self.append_environment(storage).items():
            function.add_environment(name, value)
