"""Ordering a job of the lifecycle queue."""

from __future__ import annotations

from chaincast.aws import boto_clients, environment
from chaincast.jobs.messages import Job, encode_job


def order(job: Job, seconds: int = 0) -> None:
    """Order a job, so many seconds from now (at most 900: SQS's longest delay)."""
    boto_clients.sqs().send_message(
        QueueUrl=environment.name_of(environment.LIFECYCLE_QUEUE), MessageBody=encode_job(job), DelaySeconds=seconds
    )
