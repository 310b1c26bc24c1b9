"""Builds the service that starts replays from the names of its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.eventlog.checkpoint import newest
from chaincast.eventlog.log_store import LogReader
from chaincast.jobs.queue import JobQueue
from chaincast.replay.start import Resumption

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def make_resumption(
    client: DynamoDBClient, log_table: str, state_table: str, jobs: JobQueue, shards: int
) -> Resumption:
    """Return the service that starts replays of connections whose rows are distributed over `shards` shards."""
    return Resumption(
        LogReader(client, log_table),
        lambda network: newest(client, state_table, network),
        jobs.enqueue,
        shards,
    )
