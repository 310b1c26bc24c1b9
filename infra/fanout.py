"""Fan-out: a FIFO queue with a message group for each source and shard, and the function that delivers batches."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.functions import FunctionFactory, add_queue_trigger, allow
from infra.gateway import DELETE_CONNECTIONS_ACTIONS, DELETE_SUBSCRIPTIONS_ACTIONS, RELEASE_QUOTA_ACTIONS, Gateway
from infra.storage import Storage

TIMEOUT = Duration.seconds(60)
MAX_RECEIVES = 12
"""Number of attempts before a message goes to the dead-letter queue.

With the function's own delays (1, 2, 4, … 60 s) they take about six minutes.
"""


class Fanout(Construct):
    """Queue, dead-letter queue and function. The dead-letter queue is FIFO as well, so messages stay in order."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        functions: FunctionFactory,
        gateway: Gateway,
        reserved_concurrency: int,
    ) -> None:
        super().__init__(scope, id_)
        self.dlq = sqs.Queue(self, "Dlq", fifo=True, enforce_ssl=True, retention_period=Duration.days(14))
        self.queue = sqs.Queue(
            self,
            "Queue",
            fifo=True,
            # High-throughput mode: both the request quota and deduplication apply to each message group.
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
                "CHAINCAST_LIFECYCLE_QUEUE_URL": gateway.lifecycle_queue.queue_url,
                "CHAINCAST_MANAGEMENT_ENDPOINT": gateway.management_endpoint,
            },
            timeout=TIMEOUT,
            memory_mb=1769,  # one vCPU, because the work is done by one thread
            reserved_concurrency=reserved_concurrency or None,
        )
        allow(
            self.function,
            [storage.subscriptions.table_arn],
            "dynamodb:Query",
            "dynamodb:UpdateItem",
            *DELETE_SUBSCRIPTIONS_ACTIONS,
        )
        # Scan: events of topic `system` go to every connection.
        allow(self.function, [storage.connections.table_arn], "dynamodb:Scan", *DELETE_CONNECTIONS_ACTIONS)
        allow(
            self.function,
            [storage.state.table_arn],
            "dynamodb:GetItem",
            "dynamodb:PutItem",
            "dynamodb:Query",
            *RELEASE_QUOTA_ACTIONS,
        )
        gateway.grant_manage(self.function, "POST")
        gateway.grant_manage(self.function, "DELETE")
        gateway.lifecycle_queue.grant(self.function, "sqs:SendMessage")  # replays of clients that do not read
        add_queue_trigger(self.function, self.queue, 10)
        self.queue.grant(self.function, "sqs:ChangeMessageVisibility")  # to retry a deferred batch soon
        # When the number of shards changes, the reader of subscriptions must be updated before their writer.
        gateway.functions["message"].node.add_dependency(self.function)

    def append_environment(self, storage: Storage) -> dict[str, str]:
        """Return the environment variables of a function that appends batches to the event log."""
        return {
            "CHAINCAST_LOG_TABLE": storage.log.table_name,
            "CHAINCAST_STATE_TABLE": storage.state.table_name,
            "CHAINCAST_FANOUT_QUEUE_URL": self.queue.queue_url,
        }

    def grant_append(self, function: lambda_.Function, storage: Storage) -> None:
        """Allow a function to append batches of app sources to the event log and to enqueue them."""
        allow(function, [storage.log.table_arn], "dynamodb:PutItem", "dynamodb:Query")
        allow(function, [storage.state.table_arn], "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
        self.queue.grant(function, "sqs:SendMessage")

    def grant_requeue(self, function: lambda_.Function, storage: Storage) -> None:
        """Allow a function to enqueue batches that a publisher appended but did not enqueue before it crashed."""
        allow(function, [storage.log.table_arn], "dynamodb:Query")
        allow(function, [storage.state.table_arn], "dynamodb:GetItem", "dynamodb:UpdateItem")
        self.queue.grant(function, "sqs:SendMessage")
        for name, value in self.append_environment(storage).items():
            function.add_environment(name, value)
