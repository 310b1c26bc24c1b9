"""Collects the status of a deployment with a few reads, whose number is independent of connections and messages."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError as AwsError

from chaincast.aws.dynamodb_batch import read_all
from chaincast.errors import ChaincastError
from chaincast.eventlog.checkpoint import read_listener_status
from chaincast.eventlog.listener_status import ListenerStatus
from chaincast.metrics.counter_store import summed
from chaincast.metrics.recorder import SPREAD, counts_key
from chaincast.sessions.open_connections import OpenConnectionCounter
from chaincast.status.report import DeploymentStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from mypy_boto3_sqs import SQSClient

FUNCTIONS = (
    "admin", "archive", "connect", "disconnect", "fanout", "heartbeat", "http", "kafka", "lifecycle", "message",
    "status", "ticket",
)  # fmt: skip
"""Functions that count metrics."""

_PROBE = "health"


class StatusCollector:
    """Collects the status. `tables`: name and key attributes of each, by label; `queues`: URLs by label.

    `auth` returns True if tokens can be verified, None if authentication is off.
    """

    def __init__(
        self,
        database: DynamoDBClient,
        queues: SQSClient,
        tables: Mapping[str, tuple[str, tuple[str, ...]]],
        queue_urls: Mapping[str, str],
        block_ms: Mapping[str, int],
        auth: Callable[[], bool | None],
    ) -> None:
        self._database = database
        self._queues = queues
        self._tables = tables
        self._urls = queue_urls
        self._block_ms = block_ms
        self._auth = auth
        self._state = tables["state"][0]
        self._open_counter = OpenConnectionCounter(database, self._state)

    def collect(self) -> DeploymentStatus:
        """Collect the status. Parts that do not respond are reported as such."""
        now = time.time()
        tables = {name: self._answers(*table) for name, table in self._tables.items()}
        counts, since = Counter[str](), 0
        opened, listeners = Counter[str](), dict.fromkeys(self._block_ms, ListenerStatus())
        if tables["state"]:
            try:
                counts, since = self._counts()
                opened = self._open_counter.read(int(now * 1000))
                listeners = {name: read_listener_status(self._database, self._state, name) for name in self._block_ms}
            except (AwsError, BotoCoreError, ChaincastError):
                tables["state"] = False
        return DeploymentStatus(
            now=now,
            listeners=listeners,
            block_ms=self._block_ms,
            tables=tables,
            queues={name: self._depth(url) for name, url in self._urls.items()},
            auth=self._auth(),
            counts=counts,
            open=opened,
            since=since,
        )

    def _answers(self, table: str, keys: tuple[str, ...]) -> bool:
        """Return True if a table can be read. Costs half a read unit, for an item that does not exist."""
        try:
            self._database.get_item(TableName=table, Key={key: {"S": _PROBE} for key in keys})
        except (AwsError, BotoCoreError):
            return False
        return True

    def _counts(self) -> tuple[Counter[str], int]:
        """Return the sums of all functions' counters, and the time (s) of the first."""
        keys: list[dict[str, AttributeValueTypeDef]] = [
            {"key": {"S": counts_key(k)}, "sort": {"S": function}} for function in FUNCTIONS for k in range(SPREAD)
        ]
        items = list(read_all(self._database, self._state, keys))
        return summed(items), min((int(item["since"]["N"]) for item in items), default=0)

    def _depth(self, url: str) -> int | None:
        """Return the approximate number of messages in a queue, or None if it does not respond."""
        try:
            found = self._queues.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            return int(found["Attributes"]["ApproximateNumberOfMessages"])
        except (AwsError, BotoCoreError):
            return None
