"""Kafka (optional): event sources for its topics, and the function that publishes their messages."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.fanout import Fanout
from infra.functions import FunctionFactory
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
        for topic in settings["topics"]:
            self.function.add_event_source(self._source(topic, settings))

    def _source(self, topic: str, settings: KafkaSettings) -> lambda_.IEventSource:
        group = f"{settings['consumer_group']}-{topic}".replace(".", "-")
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
