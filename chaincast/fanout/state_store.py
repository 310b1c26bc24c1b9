"""What fan-out keeps in the State table, and only when something is out of the ordinary: how far batches got that were
handed back, and which groups are closed while the number of shards changes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chaincast.fanout.messages import Close, Open
from chaincast.fanout.progress import Progress, decode_progress
from chaincast.model.cursors import format_cursor

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEEP_SECONDS = 14 * 86400
"""As long as the dead-letter queue keeps messages."""


class FanoutState:
    """The items under `fanout/…`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def progress(self, group: str) -> Progress:
        """How far earlier attempts at a group's batches got."""
        answer = self._client.get_item(TableName=self._table, Key=_progress_key(group), ConsistentRead=True)
        if "Item" not in answer:
            return Progress()
        return decode_progress(bytes(answer["Item"]["marks"]["B"]))

    def save_progress(self, group: str, progress: Progress) -> None:
        """Keep it for the next attempt."""
        self._client.put_item(
            TableName=self._table,
            Item={**_progress_key(group), "marks": {"B": progress.encode()}, "expires_at": _expiry()},
        )

    def close(self, work: Close) -> None:
        """Put on record that a worker has delivered everything up to a change of shards."""
        worker = work.worker
        self._client.put_item(
            TableName=self._table,
            Item={
                "key": {"S": f"fanout/{work.source}"},
                "sort": {"S": _closed(work.seq, worker.shards) + str(worker.shard)},
                "expires_at": _expiry(),
            },
        )

    def closed(self, work: Open) -> bool:
        """Whether every former worker has delivered everything up to a change of shards."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="#k = :k AND begins_with(#s, :s)",
            ExpressionAttributeNames={"#k": "key", "#s": "sort"},
            ExpressionAttributeValues={
                ":k": {"S": f"fanout/{work.source}"},
                ":s": {"S": _closed(work.seq, work.former)},
            },
            ConsistentRead=True,
        )
        return len(answer["Items"]) == work.former


def _progress_key(group: str) -> dict[str, dict[str, str]]:
    return {"key": {"S": f"fanout/{group}"}, "sort": {"S": "progress"}}


def _closed(seq: int, shards: int) -> str:
    return f"closed#{format_cursor(seq)}#{shards}."


def _expiry() -> dict[str, str]:
    return {"N": str(int(time.time()) + _KEEP_SECONDS)}
