"""Fan-out's items in the State table: the progress of retried batches, and groups drained before a shard hand-over.

They are written only when a delivery fails or the shard count changes. chaincast/fanout/keys.py has their keys.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaincast.fanout.keys import PROGRESS_SORT_KEY, drained_prefix, drained_sort_key, state_key
from chaincast.fanout.messages import AwaitDrained, ShardDrained
from chaincast.fanout.progress import DeliveryProgress, decode_progress

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

RETENTION_SECONDS = 14 * 86400
"""Seconds after which an item expires: the retention of the dead-letter queue."""


class FanoutStateStore:
    """Reads and writes fan-out's items."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def progress(self, group: str) -> DeliveryProgress:
        """Return how far earlier attempts at a message group's batches got."""
        response = self._client.get_item(TableName=self._table, Key=_progress_key(group), ConsistentRead=True)
        if "Item" not in response:
            return DeliveryProgress()
        return decode_progress(bytes(response["Item"]["marks"]["B"]))

    def save_progress(self, group: str, progress: DeliveryProgress) -> None:
        """Store a message group's progress for the next attempt."""
        self._client.put_item(
            TableName=self._table,
            Item={**_progress_key(group), "marks": {"B": progress.encode()}, "expires_at": _expires_at()},
        )

    def record_drained(self, message: ShardDrained) -> None:
        """Record that a shard has delivered everything up to a change of the shard count."""
        self._client.put_item(
            TableName=self._table,
            Item={
                "key": {"S": state_key(message.source)},
                "sort": {"S": drained_sort_key(message.seq, message.assignment)},
                "expires_at": _expires_at(),
            },
        )

    def all_drained(self, message: AwaitDrained) -> bool:
        """Return True if all previous shards have delivered everything up to a change of the shard count."""
        response = self._client.query(
            TableName=self._table,
            KeyConditionExpression="#k = :k AND begins_with(#s, :s)",
            ExpressionAttributeNames={"#k": "key", "#s": "sort"},
            ExpressionAttributeValues={
                ":k": {"S": state_key(message.source)},
                ":s": {"S": drained_prefix(message.seq, message.previous)},
            },
            ConsistentRead=True,
        )
        return len(response["Items"]) == message.previous


def _progress_key(group: str) -> dict[str, dict[str, str]]:
    return {"key": {"S": state_key(group)}, "sort": {"S": PROGRESS_SORT_KEY}}


def _expires_at() -> dict[str, str]:
    return {"N": str(int(time.time()) + RETENTION_SECONDS)}
