"""Kafka (optional): event sources for its topics, and the function that publishes their messages."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.fanout import Fanout
from infra.functions import FunctionFactory, allow
from infra.nag import acknowledge
from infra.settings import KafkaSettings
from infra.storage import Storage

_AUTHENTICATION = {
    "scram-512": sources.AuthenticationMethod.SASL_SCRAM_512_AUTH,
    "scram-256": sources.AuthenticationMethod.SASL_SCRAM_256_AUTH,
    "plain": sources.AuthenticationMethod.BASIC_AUTH,
}


class Kafka(Construct):
    """The function, its event sources, and the queue of rejected messages."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        storage: Storage,
        fanout: Fanout,
        functions: FunctionFactory,
        settings: KafkaSettings,
    ) -> None:
        super().__init__(scope, id_)
        self.rejected = sqs.Queue(self, "Rejected", enforce_ssl=True, retention_period=Duration.days(14))
        acknowledge(self.rejected, "SQS3", "This queue is itself a dead-letter queue, which the function writes to.")
        self.function = functions.make(
            self,
            "Function",
            "kafka",
            environment={
                **fanout.append_environment(storage),
                "CHAINCAST_REJECTED_QUEUE_URL": self.rejected.queue_url,
            },
            timeout=Duration.seconds(60),
            memory_mb=1024,
        )
        fanout.grant_append(self.function, storage)
        self.rejected.grant(self.function, "sqs:SendMessage")
        if settings["cluster_arn"]:
            self._allow_reading(settings)
            assert self.function.role is not None
            acknowledge(
                self.function.role,
                "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaMSKExecutionRole]",
                "The CDK's event source adds AWS's own policy for network interfaces in the cluster's VPC.",
            )
        for topic in settings["topics"]:
            self.function.add_event_source(self._source(topic, settings))

    def _allow_reading(self, settings: KafkaSettings) -> None:
        """Allow the function to read the topics of an MSK cluster with IAM authentication.

        Source: Lambda Developer Guide, "Configuring Amazon MSK cluster permissions", IAM access control. The CDK's
        event source grants only the permissions to find the brokers.
        """
        cluster = settings["cluster_arn"]

        def arns(kind: str, names: Iterable[str]) -> list[str]:
            return [f"{cluster.replace(':cluster/', f':{kind}/', 1)}/{name}" for name in names]

        allow(self.function, [cluster], "kafka-cluster:Connect", "kafka-cluster:DescribeClusterDynamicConfiguration")
        allow(self.function, arns("topic", settings["topics"]), "kafka-cluster:DescribeTopic", "kafka-cluster:ReadData")
        groups = [_group(settings, topic) for topic in settings["topics"]]
        allow(self.function, arns("group", groups), "kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup")

    def _source(self, topic: str, settings: KafkaSettings) -> lambda_.IEventSource:
        group = _group(settings, topic)
        secret = (
            secretsmanager.Secret.from_secret_name_v2(self, f"{topic}Secret", settings["secret"])
            if settings["secret"]
            else None
        )
        # Lambda supports partial batch responses only with provisioned pollers ("error handling controls for Kafka").
        pollers = sources.ProvisionedPollerConfig(minimum_pollers=1, maximum_pollers=4)
        if settings["cluster_arn"]:
            return sources.ManagedKafkaEventSource(
                cluster_arn=settings["cluster_arn"],
                topic=topic,
                consumer_group_id=group,
                secret=secret,
                starting_position=lambda_.StartingPosition.LATEST,
                batch_size=settings["batch_size"],
                report_batch_item_failures=True,
                provisioned_poller_config=pollers,
            )
        return sources.SelfManagedKafkaEventSource(
            bootstrap_servers=settings["bootstrap_servers"],
            topic=topic,
            consumer_group_id=group,
            secret=secret,
            authentication_method=_AUTHENTICATION[settings["authentication"]] if secret else None,
            starting_position=lambda_.StartingPosition.LATEST,
            batch_size=settings["batch_size"],
            report_batch_item_failures=True,
            provisioned_poller_config=pollers,
        )


def _group(settings: KafkaSettings, topic: str) -> str:
    """Return the consumer group of a topic."""
    return f"{settings['consumer_group']}-{topic}".replace(".", "-")
