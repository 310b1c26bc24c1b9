"""The fan-out queue: deliver batches to the connections of a shard, in order within each group.

A batch that fails, and all behind it in its group, are handed back and tried again: soon at first, then more slowly.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import uvloop
from aws_lambda_powertools import Logger, Metrics

from chaincast.aws import endpoints, resources
from chaincast.aws.audience import Audience, AudienceUnavailable
from chaincast.aws.call import ServiceClient
from chaincast.aws.deliverer import Deliverer, DeliveryFailed, Report
from chaincast.aws.gateway import CONCURRENCY, Gateway
from chaincast.aws.queue import decode_body, shard_of_group
from chaincast.batches import Batch
from chaincast.errors import CodecError
from chaincast.settings import Settings
from functions.events import SqsAnswer, SqsEvent, SqsRecord

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="fanout")
metrics = Metrics(namespace="Chaincast", service="fanout")

RESERVE_MS = 10_000
"""A batch is not begun with less time left than this: what is handed back is delivered sooner than what times out."""

MAX_RETRY_SECONDS = 60

settings = Settings.from_environment()
loop = uvloop.new_event_loop()
management = ServiceClient(
    resources.name_of(resources.MANAGEMENT_ENDPOINT), endpoints.region(), "execute-api", connections=CONCURRENCY
)
database = ServiceClient(endpoints.dynamodb_endpoint(), endpoints.region(), "dynamodb", connections=CONCURRENCY)
deliverer = Deliverer(
    Audience(database, resources.name_of(resources.SUBSCRIPTIONS)), Gateway(management), settings.delivery_bytes
)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: SqsEvent, context: LambdaContext) -> SqsAnswer:
    management.refresh_credentials()
    database.refresh_credentials()
    started = time.time()
    groups: dict[str, list[SqsRecord]] = {}
    for record in event["Records"]:
        groups.setdefault(record["attributes"]["MessageGroupId"], []).append(record)
    failed = [r for records in loop.run_until_complete(_run(groups, context, started)) for r in records]
    metrics.add_metric(name="BatchesHandedBack", unit="Count", value=len(failed))
    if failed:
        _retry_soon(failed)
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in failed]}


async def _run(groups: dict[str, list[SqsRecord]], context: LambdaContext, started: float) -> list[list[SqsRecord]]:
    return await asyncio.gather(*(_deliver_group(name, g, context, started) for name, g in groups.items()))


async def _deliver_group(
    group: str, records: list[SqsRecord], context: LambdaContext, started: float
) -> list[SqsRecord]:
    """Deliver a group's batches one after the other; the records left over when one could not be delivered."""
    gone: dict[str, list[str]] = {}
    left: list[SqsRecord] = []
    for place, record in enumerate(records):
        if context.get_remaining_time_in_millis() < RESERVE_MS:
            left = records[place:]
            break
        try:
            report = await _deliver(group, record, started)
        except (CodecError, AudienceUnavailable, DeliveryFailed) as error:
            logger.error("batch handed back", group=group, error=str(error), cause=type(error).__name__)
            left = records[place:]
            break
        gone |= report.topics_of_gone
    if gone:
        await asyncio.to_thread(_forget, gone)
    return left


async def _deliver(group: str, record: SqsRecord, started: float) -> Report:
    begun = time.time()
    batch = decode_body(record["body"])
    report = await deliverer.deliver(batch, shard_of_group(group))
    _measure(group, batch, record, report, started, begun)
    if report.outcomes.failed:
        raise DeliveryFailed(
            f"{batch.source} {batch.cursor}: {len(report.outcomes.failed)} of {report.deliveries} connections could "
            f"not be reached, e.g. {report.outcomes.failed[0]}"
        )
    return report


def _measure(group: str, batch: Batch, record: SqsRecord, report: Report, started: float, begun: float) -> None:
    """One log line and the metrics of a batch. `queue` is from SQS's receipt to this function's start."""
    outcomes = report.outcomes
    sent = int(record["attributes"]["SentTimestamp"])
    lag = time.time() * 1000 - batch.timestamp
    milliseconds = {"queue": started * 1000 - sent, "wait": (begun - started) * 1000, **report.ms}
    logger.info(
        "batch delivered",
        correlation_id=batch.cursor,
        group=group,
        block=batch.block,
        events=len(batch.events),
        deliveries=report.deliveries,
        queries=report.queries,
        posted=outcomes.posted,
        gone=len(outcomes.gone),
        failed=len(outcomes.failed),
        refused=outcomes.refused or None,
        ended=round(time.time() * 1000, 3),
        ms={name: round(value, 3) for name, value in milliseconds.items()},
    )
    for name, value in (
        ("Batches", 1),
        ("Posted", outcomes.posted),
        ("Gone", len(outcomes.gone)),
        ("PostsFailed", len(outcomes.failed)),
        ("PostsRefused", len(outcomes.refused)),
    ):
        metrics.add_metric(name=name, unit="Count", value=value)
    metrics.add_metric(name="Lag", unit="Milliseconds", value=lag)


def _forget(gone: dict[str, list[str]]) -> None:
    from chaincast.aws.forget import Forgetter  # boto3: a second of start-up that most invocations never need

    forgetter = Forgetter.from_environment(settings.shards)
    for connection, topics in gone.items():
        forgetter.forget(connection, topics)


def _retry_soon(records: list[SqsRecord]) -> None:
    """Make records visible again after 1, 2, 4, … 60 s, not only after the queue's visibility time-out.

    One call for each: the batch call may take them in another order than the group's.
    """
    from chaincast.aws import clients  # boto3: as above

    for record in records:
        tries = int(record["attributes"]["ApproximateReceiveCount"])
        clients.sqs().change_message_visibility(
            QueueUrl=resources.name_of(resources.FANOUT_QUEUE),
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=min(2 ** (tries - 1), MAX_RETRY_SECONDS),
        )
