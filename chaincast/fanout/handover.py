"""Hands connections over to replay whose clients do not read, so that their shard does not wait for them.

Such a connection responds 429 to every post, because API Gateway's buffer for it is full. Replay has the time to wait
for one client (chaincast/replay/): it delivers from the event log what is missing, and closes a connection that
accepts nothing. Fan-out goes on with the others at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Protocol
from uuid import uuid4

from chaincast.aws.fast.dynamodb import TableUnavailable, execute
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.jobs.messages import Replay, encode_job
from chaincast.model.holds import MAX_SECONDS, HoldKey


class JobSender(Protocol):
    """Sends jobs to the lifecycle queue (chaincast/aws/fast/sqs.py)."""

    async def send(self, messages: list[tuple[str, int]]) -> list[bool]:
        """Send jobs with their delays in seconds. Return for each whether it is stored."""
        ...


@dataclass(frozen=True, slots=True)
class Stalled:
    """A connection that did not accept its messages. `since`: the batch up to which it has everything."""

    connection_id: str
    dialect: str
    since: int


MAX_DELAY_SECONDS = 32
FORGET_SECONDS = 120.0
MAX_REMEMBERED = 20_000


class Delays:
    """The delay before the replay of a stalled connection: 1, 2, 4, … 32 s if it stalls again and again.

    A client that reads too slowly then costs two replays a minute, each of which delivers many batches together, and
    not one for each batch. The memory is this process's: another one begins with 1 s, which only costs more.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._last: dict[str, tuple[int, float]] = {}

    def next(self, connection_id: str) -> int:
        """Return the delay in seconds for a connection that has stalled now."""
        now = self._clock()
        delay, at = self._last.pop(connection_id, (0, now))
        delay = 1 if not delay or now - at - delay > FORGET_SECONDS else min(2 * delay, MAX_DELAY_SECONDS)
        if len(self._last) >= MAX_REMEMBERED:
            del self._last[next(iter(self._last))]  # the one that stalled the longest ago
        self._last[connection_id] = delay, now
        return delay


class ReplayHandover:
    """Places holds for stalled connections and queues their replays. `shards`: the shard count of the holds."""

    def __init__(self, client: ServiceClient, table: str, jobs: JobSender, shards: int) -> None:
        self._client = client
        self._table = table
        self._jobs = jobs
        self._shards = shards
        self._delays = Delays()

    async def hand_over(self, source: str, seq: int, stalled: list[Stalled]) -> list[str]:
        """Leave the source's batches up to `seq` to replays. Return the connections for which that failed.

        The job comes first: a job without a hold ends by itself, but a hold without a job would never be released.
        """
        holds = {HoldKey(c.connection_id, source, self._shards, uuid4().hex): c for c in stalled}
        jobs = [Replay(key.connection_id, c.dialect, source, key.shards, key.token) for key, c in holds.items()]
        queued = await self._jobs.send([(encode_job(job), self._delays.next(job.connection_id)) for job in jobs])
        placed = await asyncio.gather(
            *(self._place(key, c.since, seq) for (key, c), ok in zip(holds.items(), queued, strict=True) if ok)
        )
        held = {connection_id for connection_id in placed if connection_id}
        return [c.connection_id for c in stalled if c.connection_id not in held]

    async def _place(self, key: HoldKey, since: int, seq: int) -> str | None:
        """Place a hold, unless another replay is in progress. Return the connection's id if that succeeded."""
        values: Mapping[str, object] = {
            ":t": {"S": key.token},
            ":s": {"N": str(since)},
            ":b": {"N": str(seq)},
            ":e": {"N": str(int(time.time()) + MAX_SECONDS)},
        }
        try:
            response = await execute(
                self._client,
                "UpdateItem",
                {
                    "TableName": self._table,
                    "Key": {"topic_shard": {"S": key.partition}, "connection_id": {"S": key.connection_id}},
                    "UpdateExpression": "SET replay = :t, since = :s, seen = :b, expires_at = :e "
                    "REMOVE #a, closing, stalled, #t",
                    # A released hold may be left of an earlier replay. The connection has everything up to it.
                    "ConditionExpression": "attribute_not_exists(connection_id) OR #a <= :b",
                    "ExpressionAttributeNames": {"#a": "after", "#t": "token"},
                    "ExpressionAttributeValues": values,
                },
            )
        except TableUnavailable:
            return None
        return key.connection_id if response.status == 200 else None
