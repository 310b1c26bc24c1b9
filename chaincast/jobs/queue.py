"""Ordering a job of the lifecycle queue."""

from __future__ import annotations

from chaincast.aws import boto_clients as clients
from chaincast.aws import environment as resources
from chaincast.jobs.messages import Job, encode_job


def order(job: Job, seconds: int = 0) -> None:
    """Order a job, so many seconds from now (at most 900: SQS's longest delay)."""
    clients.sqs().send_message(
        QueueUrl=resources.name_of(resources.LIFECYCLE_QUEUE), MessageBody=encode_job(job), DelaySeconds=seconds
    )
