"""The fan-out queue: deliver batches to the connections of a shard, in order within each group.

All batches of a group that come in one invocation are delivered as one. What could not be delivered is handed back with
all behind it, and tried again: soon at first, then more slowly; those who have it already do not get it again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from itertools import groupby
from typing import TYPE_CHECKING

import uvloop

from chaincast.aws import environment
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.poster import MAX_SOCKETS, ConnectionPoster
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.aws.lambda_events import SqsBatchResponse, SqsEvent, SqsRecord
from chaincast.config.function_settings import Settings
from chaincast.errors import CodecError
from chaincast.fanout.delivery import Deliverer, Report
from chaincast.fanout.holds_reader import HoldReader
from chaincast.fanout.messages import AwaitDrained, DeliverBatch, FanoutMessage, ShardDrained, decode_message
from chaincast.fanout.progress import DeliveryProgress
from chaincast.fanout.subscribers import SubscriberReader
from chaincast.metrics.async_counter_writer import async_counter_writer
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.sharding import ShardAssignment
from functions.composition import session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from chaincast.fanout.state_store import FanoutStateStore

logger = make_logger("fanout")

DEADLINE_MARGIN_MS = 12_000
"""No message is begun with less time left than this: an answer may take five seconds, the others of a connection's
messages four, and what is left must be put on record."""

MAX_RETRY_SECONDS = 60

GIVE_UP_TRIES = 5
GIVE_UP_CONNECTIONS = 50
"""After so many tries (some fifteen seconds) a few connections that cannot be reached are disconnected, so that a shard
does not wait for them: they come back and resume. More than a few are no matter of single connections."""

QUERIES = 64

settings = Settings.from_environment()
loop = uvloop.new_event_loop()
management = ServiceClient(
    Pool(environment.require_env(environment.MANAGEMENT_ENDPOINT), MAX_SOCKETS), environment.region(), "execute-api"
)
database = ServiceClient(Pool(environment.dynamodb_endpoint(), QUERIES), environment.region(), "dynamodb")
metrics = MetricsRecorder("fanout", async_counter_writer(loop, database))
table = environment.require_env(environment.SUBSCRIPTIONS)
deliverer = Deliverer(
    SubscriberReader(
        database, table, environment.require_env(environment.CONNECTIONS), known=settings.auth == "required"
    ),
    HoldReader(database, table),
    ConnectionPoster(management),
    settings.delivery_bytes,
    settings.chains,
)


@logger.inject_lambda_context
@metrics.flush_after
def handler(event: SqsEvent, context: LambdaContext) -> SqsBatchResponse:
    management.refresh_credentials()
    database.refresh_credentials()
    started = time.time()
    groups: dict[str, list[SqsRecord]] = {}
    for record in event["Records"]:
        groups.setdefault(record["attributes"]["MessageGroupId"], []).append(record)
    invocation = _Invocation(context, started)
    failed = [r for records in loop.run_until_complete(invocation.run(groups)) for r in records]
    metrics.count("BatchesRetried", len(failed))
    if failed:
        _retry_soon(failed)
    return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in failed]}


class _Invocation:
    """The groups of one invocation, side by side; each group's work one after the other."""

    def __init__(self, context: LambdaContext, started: float) -> None:
        self._context = context
        self._started = started
        self._gone: dict[frozenset[int], set[str]] = defaultdict(set)
        self._topics: set[str] = set()

    async def run(self, groups: dict[str, list[SqsRecord]]) -> list[list[SqsRecord]]:
        """The records left over, by group."""
        left = await asyncio.gather(*(self._group(name, records) for name, records in groups.items()))
        if self._gone:
            await asyncio.to_thread(self._forget)
        return left

    async def _group(self, group: str, records: list[SqsRecord]) -> list[SqsRecord]:
        work: list[tuple[SqsRecord, FanoutMessage]] = []
        undecodable: list[SqsRecord] = []
        for place, record in enumerate(records):
            try:
                work.append((record, decode_message(record["body"])))
            except CodecError as error:
                logger.error("message handed back", group=group, error=str(error))
                undecodable = records[place:]
                break
        tried_before = any(int(r["attributes"]["ApproximateReceiveCount"]) > 1 for r in records)
        progress = await asyncio.to_thread(lambda: _state().progress(group)) if tried_before else DeliveryProgress()
        done = 0
        # What one worker can deliver at once; whatever is about shards is on its own.
        for _, run in groupby(
            work, key=lambda w: w[1].assignment if isinstance(w[1], DeliverBatch) else w[0]["messageId"]
        ):
            together = list(run)
            if not await self._do(group, together, progress):
                return [record for record, _ in work[done:]] + undecodable
            done += len(together)
        return undecodable

    async def _do(
        self, group: str, together: list[tuple[SqsRecord, FanoutMessage]], progress: DeliveryProgress
    ) -> bool:
        """Whether a group may go on with what is behind this."""
        match together[0][1]:
            case ShardDrained() as closing:
                await asyncio.to_thread(lambda: _state().record_drained(closing))
                return True
            case AwaitDrained() as opening:
                return await asyncio.to_thread(lambda: _state().all_drained(opening))
        return await self._deliver(
            group, [(record, work) for record, work in together if isinstance(work, DeliverBatch)], progress
        )

    async def _deliver(
        self, group: str, together: list[tuple[SqsRecord, DeliverBatch]], progress: DeliveryProgress
    ) -> bool:
        seconds = (self._context.get_remaining_time_in_millis() - DEADLINE_MARGIN_MS) / 1000
        if seconds <= 0:
            return False
        begun = time.time()
        batches = [work.batch for _, work in together]
        worker = _reading_all(together[0][1].assignment)
        report = await deliverer.deliver(batches, worker, progress, seconds)
        if report.outcomes.gone:
            self._gone[frozenset(worker.row_shard_counts)].update(report.outcomes.gone)
            self._topics.update(report.topics)
        _measure(group, together, report, self._started, begun)
        if report.mark is None:
            return True
        tries = max(int(record["attributes"]["ApproximateReceiveCount"]) for record, _ in together)
        left = report.outcomes.deferred
        if report.mark.max_connection_id is None and tries >= GIVE_UP_TRIES and len(left) <= GIVE_UP_CONNECTIONS:
            logger.warning("connections given up", extra={"group": group, "connections": left})
            await asyncio.to_thread(_disconnect, left)
            self._gone[frozenset(worker.row_shard_counts)].update(left)
            return True
        after = progress.after(report.mark, (batches[0].seq, batches[0].part))
        await asyncio.to_thread(lambda: _state().save_progress(group, after))
        return False

    def _forget(self) -> None:
        from chaincast.sessions.cleanup import (
            ConnectionCleanup,  # boto3: half a second of start-up that most invocations never need
        )

        cleanup = ConnectionCleanup(session_stores(), settings.limits)
        for shards, gone in self._gone.items():
            forgotten = cleanup.remove(sorted(gone), self._topics, shards)
            metrics.count_closed(forgotten.dialects)
            logger.info("connections forgotten", connections=len(gone), writes=forgotten.writes)


def _reading_all(worker: ShardAssignment) -> ShardAssignment:
    """The worker, reading what the message function of this deployment writes, too."""
    return ShardAssignment(worker.shards, worker.shard, tuple(sorted({*worker.row_shard_counts, settings.shards})))


def _measure(
    group: str, together: list[tuple[SqsRecord, DeliverBatch]], report: Report, started: float, begun: float
) -> None:
    """A log line and the metrics of a delivery. `queue` is from SQS's receipt to this function's start."""
    outcomes, batches = report.outcomes, [work.batch for _, work in together]
    sent = int(together[0][0]["attributes"]["SentTimestamp"])
    milliseconds = {"queue": started * 1000 - sent, "wait": (begun - started) * 1000, **report.ms}
    line = {
        "correlation_id": batches[-1].cursor,
        "group": group,
        "block": batches[-1].block,
        "batches": len(batches),
        "events": sum(len(batch.events) for batch in batches),
        "deliveries": report.deliveries,
        "held": report.held,
        "queries": report.queries,
        "posted": outcomes.posted,
        "gone": len(outcomes.gone),
        "deferred": len(outcomes.deferred),
        "throttled": outcomes.throttled,
        "retried": outcomes.retried,
        "repeated": outcomes.repeated,
        "ended": round(time.time() * 1000, 3),
        "ms": {name: round(value, 3) for name, value in milliseconds.items()},
    }
    if report.mark is None:
        logger.info("batch delivered", extra=line)
    else:
        logger.error("batch handed back", extra={"error": report.error, **line})
    if outcomes.refused:
        logger.warning("messages dropped", extra={"group": group, "refused": dict(outcomes.refused)})
    metrics.count("MessagesOut", outcomes.posted, by="fanout")
    for outcome, value in (
        ("delivered", outcomes.posted),
        ("gone", len(outcomes.gone)),
        ("deferred", len(outcomes.deferred)),
        ("throttled", outcomes.throttled),
        ("repeated", outcomes.repeated),
        ("refused", outcomes.refused.total()),
    ):
        metrics.count("Posts", value, outcome=outcome)
    if report.mark is None:
        _count_done(together)


def _count_done(together: list[tuple[SqsRecord, DeliverBatch]]) -> None:
    """Count batches that everybody of a worker has: each shard's latency; the events once, with the first shard."""
    now = time.time()
    for record, work in together:
        metrics.observe("FanoutSeconds", max(now - int(record["attributes"]["SentTimestamp"]) / 1000, 0.0))
        if work.assignment.shard:
            continue
        metrics.count("Batches")
        for kind, events in Counter(event.kind for event in work.batch.events).items():
            metrics.count("EventsDelivered", events, kind=kind, network=work.batch.source)


def _state() -> FanoutStateStore:
    from chaincast.aws import boto_clients  # boto3: as above
    from chaincast.fanout.state_store import FanoutStateStore

    return FanoutStateStore(boto_clients.dynamodb(), environment.require_env(environment.STATE))


def _disconnect(connections: list[str]) -> None:
    """ShardDrained connections, as far as API Gateway lets us."""
    from botocore.exceptions import BotoCoreError, ClientError  # boto3: as above

    from chaincast.aws import boto_clients

    client = boto_clients.management(environment.require_env(environment.MANAGEMENT_ENDPOINT))
    for connection in connections:
        try:
            client.delete_connection(ConnectionId=connection)
        except (BotoCoreError, ClientError) as error:
            logger.warning("connection not closed", extra={"connection": connection, "error": str(error)})


def _retry_soon(records: list[SqsRecord]) -> None:
    """Make records visible again after 1, 2, 4, … 60 s, not only after the queue's visibility time-out.

    One call for each: the batch call may take them in another order than the group's.
    """
    from chaincast.aws import boto_clients  # boto3: as above

    for record in records:
        tries = int(record["attributes"]["ApproximateReceiveCount"])
        boto_clients.sqs().change_message_visibility(
            QueueUrl=environment.require_env(environment.FANOUT_QUEUE),
            ReceiptHandle=record["receiptHandle"],
            VisibilityTimeout=min(2 ** (tries - 1), MAX_RETRY_SECONDS),
        )
