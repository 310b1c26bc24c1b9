"""Handles messages of the lifecycle queue: parses each job and runs it, all jobs of a batch at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from aws_lambda_powertools import Logger

from chaincast.aws.lambda_events import SqsBatchResponse, SqsEvent, SqsRecord
from chaincast.errors import CodecError
from chaincast.jobs.messages import Deadline, Greet, IdentityExpiry, Job, RemoveHold, Replay, parse_job
from chaincast.metrics.recorder import MetricsRecorder

MAX_RECEIVES = 3
"""Times that SQS delivers a job before it goes to the dead-letter queue (infra/gateway.py)."""

DEADLINE_MARGIN_MS = 12_000
"""Milliseconds before the function's timeout at which replays stop, so that posts in progress can finish."""


class Greeter(Protocol):
    """Sends greetings (chaincast/sessions/greeter.py)."""

    async def greet(self, job: Greet, *, is_last: bool) -> bool:
        """Return False if the greeting must be tried again. `is_last`: it will not be."""
        ...


class Deadlines(Protocol):
    """Enforces deadlines (chaincast/sessions/deadlines.py)."""

    async def enforce(self, job: Deadline) -> None: ...

    async def expire_identity(self, job: IdentityExpiry) -> None: ...


class Replays(Protocol):
    """Runs replays (chaincast/replay/replay_jobs.py)."""

    async def run(self, job: Replay, seconds: float) -> None: ...

    async def abandon(self, job: Replay) -> None: ...

    async def remove_hold(self, job: RemoveHold) -> None: ...


class LifecycleHandler:
    """Handles batches of jobs.

    `replays` returns the runner of replays. It is called with the first job that needs it, because it imports boto3,
    which takes half a second that greetings can do without.
    """

    def __init__(
        self,
        greeter: Greeter,
        deadlines: Deadlines,
        replays: Callable[[], Replays],
        metrics: MetricsRecorder,
        logger: Logger,
    ) -> None:
        self._greeter = greeter
        self._deadlines = deadlines
        self._replays = replays
        self._metrics = metrics
        self._logger = logger

    async def handle(self, event: SqsEvent, remaining_ms: int) -> SqsBatchResponse:
        """Run the jobs of a batch. `remaining_ms`: time until the function is stopped.

        The response contains the jobs that failed, which SQS delivers again.
        """
        seconds = (remaining_ms - DEADLINE_MARGIN_MS) / 1000
        failed = await self._run_all(event["Records"], seconds)
        self._metrics.count("JobsRetried", len(failed))
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    async def _run_all(self, records: Sequence[SqsRecord], seconds: float) -> list[str]:
        succeeded = await asyncio.gather(*(self._run_record(record, seconds) for record in records))
        return [record["messageId"] for record, ok in zip(records, succeeded, strict=True) if not ok]

    async def _run_record(self, record: SqsRecord, seconds: float) -> bool:
        """Run the job of a message. Return False if it failed; other jobs are not affected."""
        try:
            is_last = int(record["attributes"]["ApproximateReceiveCount"]) >= MAX_RECEIVES
            return await self._run_job(parse_job(record["body"]), seconds, is_last)
        except CodecError as error:
            self._logger.error("invalid job", error=str(error))
        except Exception:
            self._logger.exception("job failed")
        return False

    async def _run_job(self, job: Job, seconds: float, is_last: bool) -> bool:
        match job:
            case Greet():
                return await self._greeter.greet(job, is_last=is_last)
            case Replay() if is_last:  # it raised twice, or ended the process
                await self._replays().abandon(job)
            case Replay():
                await self._replays().run(job, seconds)
            case RemoveHold():
                await self._replays().remove_hold(job)
            case Deadline():
                await self._deadlines.enforce(job)
            case IdentityExpiry():
                await self._deadlines.expire_identity(job)
        return True
