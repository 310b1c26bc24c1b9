"""The lifecycle queue: the greeting, a moment after `$connect`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import uvloop
from aws_lambda_powertools import Logger, Metrics

from chaincast import dialects
from chaincast.aws import endpoints, resources
from chaincast.aws.call import ServiceClient
from chaincast.aws.gateway import Gateway
from chaincast.aws.lifecycle import Greet, parse_job
from chaincast.commands import Connected
from chaincast.errors import CodecError
from chaincast.settings import Settings
from functions.events import SqsAnswer, SqsEvent, SqsRecord

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="lifecycle")
metrics = Metrics(namespace="Chaincast", service="lifecycle")

settings = Settings.from_environment()
management = ServiceClient(
    resources.name_of(resources.MANAGEMENT_ENDPOINT), endpoints.region(), "execute-api", connections=8
)
loop = uvloop.new_event_loop()

WAITS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts: API Gateway answers 410 until `$connect` has returned and the handshake is done."""


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: SqsEvent, context: LambdaContext) -> SqsAnswer:
    management.refresh_credentials()
    failed = loop.run_until_complete(_run(event["Records"]))
    metrics.add_metric(name="JobsHandedBack", unit="Count", value=len(failed))
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


async def _run(records: list[SqsRecord]) -> list[str]:
    done = await asyncio.gather(*map(_handle, records))
    return [record["messageId"] for record, ok in zip(records, done, strict=True) if not ok]


async def _handle(record: SqsRecord) -> bool:
    try:
        return await _greet(parse_job(record["body"]))
    except CodecError as error:
        logger.error("job dropped", error=str(error))
        return False


async def _greet(job: Greet) -> bool:
    """Whether the greeting is done with: it arrived, or there is nobody to greet."""
    payload = dialects.get(job.dialect).outcome(Connected(job.connection_id, settings.networks))
    gateway = Gateway(management)
    for wait in (*WAITS, None):
        outcomes = await gateway.deliver([((payload,), (job.connection_id,))])
        if outcomes.posted or outcomes.refused:
            metrics.add_metric(name="Greetings", unit="Count", value=outcomes.posted)
            return True
        if outcomes.gone and not await asyncio.to_thread(_on_record, job.connection_id):
            return True
        if wait is not None:
            await asyncio.sleep(wait)
    logger.warning("connection not greeted yet", connection=job.connection_id)
    return False


def _on_record(connection_id: str) -> bool:
    from chaincast.aws import clients  # boto3: a second of start-up that most greetings never need
    from chaincast.aws.connections import Connections

    return Connections(clients.dynamodb(), resources.name_of(resources.CONNECTIONS)).exists(connection_id)
