"""The function of the Kafka event sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws import boto_clients
from chaincast.aws.environment import REJECTED_QUEUE, require_env
from chaincast.aws.lambda_events import KafkaBatchResponse, KafkaEvent
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.publishing.kafka_handler import KafkaHandler
from functions.publish_services import publish_service

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics = make_logger("kafka"), MetricsRecorder("kafka")
queues, rejected = boto_clients.sqs(), require_env(REJECTED_QUEUE)
kafka_handler = KafkaHandler(
    publish_service(), lambda body: queues.send_message(QueueUrl=rejected, MessageBody=body), metrics, logger
)


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: KafkaEvent, context: LambdaContext) -> KafkaBatchResponse:
    """Publish the messages of some partitions."""
    return kafka_handler.handle(event)
