"""The worker of the fan-out queue: delivers batches to the connections of a shard, in order within a message group.

A batch that cannot be delivered stays in the queue, together with all messages after it in its group:

- What the attempt delivered is stored as progress, so that a retry reaches only the connections that miss the batch.
- SQS delivers the batch again after 1, 2, 4, … 60 s (chaincast/fanout/retries.py).
- After `GIVE_UP_TRIES` tries, up to `GIVE_UP_CONNECTIONS` connections that cannot be reached are closed, and the group
  goes on. Their clients reconnect and resume from the event log without gaps.
- If more connections fail, or the failure lasts, the batch reaches the queue's maximum receive count and moves to the
  dead-letter queue. An alarm fires then; `chaincast redrive` returns it to the queue.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from aws_lambda_powertools import Logger

from chaincast.aws.lambda_events import SqsBatchResponse, SqsEvent, SqsRecord
from chaincast.fanout.delivery import Report
from chaincast.fanout.groups import BatchRun, HandOver, MessageGroup, group_records
from chaincast.fanout.messages import AwaitDrained, ShardDrained
from chaincast.fanout.progress import DeliveryProgress
from chaincast.fanout.reporting import DeliveryReporter
from chaincast.fanout.retries import DEADLINE_MARGIN_MS, gives_up
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.batches import Batch
from chaincast.model.sharding import ShardAssignment


class BatchDeliverer(Protocol):
    """Delivers batches to a shard's connections (chaincast/fanout/delivery.py)."""

    async def deliver(
        self,
        batches: Sequence[Batch],
        assignment: ShardAssignment,
        progress: DeliveryProgress,
        seconds: float | None,
    ) -> Report: ...


class StateStore(Protocol):
    """Stores progress and shard hand-overs (chaincast/fanout/state_store.py)."""

    def progress(self, group: str) -> DeliveryProgress: ...

    def save_progress(self, group: str, progress: DeliveryProgress) -> None: ...

    def record_drained(self, message: ShardDrained) -> None: ...

    def all_drained(self, message: AwaitDrained) -> bool: ...


class Retries(Protocol):
    """Lets SQS deliver messages again soon (chaincast/fanout/retries.py)."""

    def retry_soon(self, records: Iterable[SqsRecord]) -> None: ...


class Removed(Protocol):
    """The result of a cleanup."""

    @property
    def dialects(self) -> Iterable[str]: ...

    @property
    def writes(self) -> int: ...


class Cleanup(Protocol):
    """Removes closed connections (chaincast/sessions/cleanup.py)."""

    def remove_gone(
        self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()
    ) -> Removed: ...


class ConnectionCloser(Protocol):
    """Closes connections (chaincast/aws/management_api.py)."""

    def close(self, connection_id: str) -> None: ...


class FanoutWorker:
    """Handles invocations by the fan-out queue.

    `state`, `retries`, `cleanup` and `api` are called when they are needed, because they import boto3, which takes
    half a second that most invocations do not need. `shards`: the shard count under which this deployment's message
    function writes subscriptions. It may be newer than the count that the listener put into the messages.
    """

    def __init__(
        self,
        deliverer: BatchDeliverer,
        state: Callable[[], StateStore],
        retries: Callable[[], Retries],
        cleanup: Callable[[], Cleanup],
        api: Callable[[], ConnectionCloser],
        shards: int,
        metrics: MetricsRecorder,
        logger: Logger,
    ) -> None:
        self.deliverer = deliverer
        self._state = state
        self._retries = retries
        self._cleanup = cleanup
        self._api = api
        self._shards = shards
        self._metrics = metrics
        self._logger = logger
        self._reporter = DeliveryReporter(metrics, logger)

    async def handle(self, event: SqsEvent, remaining_ms: Callable[[], int]) -> SqsBatchResponse:
        """Deliver the batches of an invocation. `remaining_ms` returns the time until the function is stopped.

        The response contains the messages that failed, which SQS delivers again.
        """
        groups = group_records(event["Records"])
        invocation = _Invocation(self, remaining_ms)
        failed = [record for records in await asyncio.gather(*map(invocation.process, groups)) for record in records]
        if invocation.gone:
            await asyncio.to_thread(self._remove, invocation.gone, invocation.topics)
        self._metrics.count("BatchesRetried", len(failed))
        if failed:
            self._retries().retry_soon(failed)
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in failed]}

    async def progress_of(self, group: MessageGroup) -> DeliveryProgress:
        """Return the stored progress of a group that is retried; other groups have none."""
        if not group.retried:
            return DeliveryProgress()
        return await asyncio.to_thread(lambda: self._state().progress(group.name))

    async def hand_over(self, message: ShardDrained | AwaitDrained) -> bool:
        """Carry out a message about the shard count. Return False if the group must wait for other groups."""
        if isinstance(message, ShardDrained):
            await asyncio.to_thread(lambda: self._state().record_drained(message))
            return True
        return await asyncio.to_thread(lambda: self._state().all_drained(message))

    async def deliver(
        self, group: str, run: BatchRun, progress: DeliveryProgress, seconds: float, invoked_at: float
    ) -> Report:
        """Deliver a run of batches. If the report has a `delivered_up_to`, the batches must be retried."""
        began_at = time.time()
        assignment = run.assignment.with_row_shard_count(self._shards)
        report = await self.deliverer.deliver(run.batches, assignment, progress, seconds)
        self._reporter.report(group, run, report, invoked_at, began_at)
        attempt = report.delivered_up_to
        if attempt is None:
            return report
        deferred = report.outcomes.deferred
        if gives_up(run.tries, attempt.max_connection_id is None, len(deferred)):
            self._logger.warning("connections given up", extra={"group": group, "connections": deferred})
            await asyncio.to_thread(self._close, deferred)
            report.outcomes.gone += deferred
            report.delivered_up_to = None
            return report
        after = progress.after(attempt, (run.batches[0].seq, run.batches[0].part))
        await asyncio.to_thread(lambda: self._state().save_progress(group, after))
        return report

    def undecodable(self, group: MessageGroup) -> None:
        """Log a message that cannot be decoded. It is retried until it moves to the dead-letter queue."""
        self._logger.error("undecodable message", group=group.name, error=group.error)

    def row_shard_counts(self, run: BatchRun) -> frozenset[int]:
        """Return the shard counts under which rows of a run's connections may be stored."""
        return frozenset(run.assignment.with_row_shard_count(self._shards).row_shard_counts)

    def _close(self, connection_ids: Iterable[str]) -> None:
        """Close connections. A failure is only logged: the connection's records are removed in any case."""
        api = self._api()
        for connection_id in connection_ids:
            try:
                api.close(connection_id)
            except Exception as error:  # botocore's errors, which cannot be imported without boto3
                self._logger.warning("connection not closed", extra={"connection": connection_id, "error": str(error)})

    def _remove(self, gone: dict[frozenset[int], set[str]], topics: set[str]) -> None:
        cleanup = self._cleanup()
        for row_shard_counts, connection_ids in gone.items():
            removed = cleanup.remove_gone(sorted(connection_ids), topics, row_shard_counts)
            self._metrics.count_closed(removed.dialects)
            self._logger.info("connections removed", connections=len(connection_ids), writes=removed.writes)


class _Invocation:
    """Processes message groups at the same time, and the steps of each group one after the other."""

    def __init__(self, worker: FanoutWorker, remaining_ms: Callable[[], int]) -> None:
        self._worker = worker
        self._remaining_ms = remaining_ms
        self._invoked_at = time.time()
        self.gone: dict[frozenset[int], set[str]] = defaultdict(set)
        """Closed connections by the shard counts under which their rows may be stored."""
        self.topics: set[str] = set()
        """Topics under which rows of closed connections may be stored."""

    async def process(self, group: MessageGroup) -> list[SqsRecord]:
        """Carry out the steps of a group. Return the messages that failed, and all after them."""
        if group.undecodable:
            self._worker.undecodable(group)
        progress = await self._worker.progress_of(group)
        for index, step in enumerate(group.steps):
            if not await self._succeeded(group.name, step, progress):
                return [record for later in group.steps[index:] for record in later.records] + group.undecodable
        return group.undecodable

    async def _succeeded(self, group: str, step: BatchRun | HandOver, progress: DeliveryProgress) -> bool:
        if isinstance(step, HandOver):
            return await self._worker.hand_over(step.message)
        seconds = (self._remaining_ms() - DEADLINE_MARGIN_MS) / 1000
        if seconds <= 0:
            return False
        report = await self._worker.deliver(group, step, progress, seconds, self._invoked_at)
        if report.outcomes.gone:
            self.gone[self._worker.row_shard_counts(step)].update(report.outcomes.gone)
            self.topics.update(report.topics)
        return report.delivered_up_to is None
