"""The lifecycle queue, into which functions put jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from chaincast.jobs.messages import Job, encode_job

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class JobQueue(Protocol):
    """Accepts jobs."""

    def enqueue(self, job: Job, delay_seconds: int = 0) -> None:
        """Put a job into the queue. It is due after `delay_seconds`, at most `MAX_DELAY_SECONDS`."""
        ...


class LifecycleQueue:
    """The SQS queue of lifecycle jobs.

    `client` returns the SQS client. It is called with the first job, because most invocations enqueue none and making
    a client takes time.
    """

    def __init__(self, client: Callable[[], SQSClient], url: str) -> None:
        self._client = client
        self._url = url

    def enqueue(self, job: Job, delay_seconds: int = 0) -> None:
        """Put a job into the queue. It is due after `delay_seconds`, at most `MAX_DELAY_SECONDS`."""
        self._client().send_message(QueueUrl=self._url, MessageBody=encode_job(job), DelaySeconds=delay_seconds)
