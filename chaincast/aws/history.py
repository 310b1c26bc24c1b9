"""The History table: events under the few topics that have a history, by their position on the chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import orjson

from chaincast.aws.writes import write_all
from chaincast.batches import Batch
from chaincast.events import Event
from chaincast.topics import history_topic

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef


class History:
    """Writes what a batch adds. Repeating it changes nothing: contents and expiry follow from the block alone."""

    def __init__(self, client: DynamoDBClient, table: str, retention_seconds: int) -> None:
        self._client = client
        self._table = table
        self._retention = retention_seconds

    def add(self, batches: Iterable[Batch]) -> None:
        """Put the batches' events under their history topics. Raises `Unprocessed`."""
        requests: list[WriteRequestTypeDef] = [
            {"PutRequest": {"Item": item}} for batch in batches for item in self._items(batch)
        ]
        write_all(self._client, self._table, requests)

    def _items(self, batch: Batch) -> Iterator[dict[str, AttributeValueTypeDef]]:
        expires_at = str(batch.timestamp // 1000 + self._retention)
        for event in batch.events:
            topic = history_topic(event.kind, event.topics)
            if topic is not None:
                yield {
                    "topic": {"S": topic},
                    "position": {"S": event.position},
                    "cursor": {"S": batch.cursor},
                    "event": {"B": orjson.dumps(event)},
                    "expires_at": {"N": expires_at},
                }

    def remove(self, events: Iterable[Event]) -> None:
        """Delete events that a reorg took back. Raises `Unprocessed`."""
        requests: list[WriteRequestTypeDef] = [
            {"DeleteRequest": {"Key": {"topic": {"S": topic}, "position": {"S": event.position}}}}
            for event in events
            if (topic := history_topic(event.kind, event.topics)) is not None
        ]
        write_all(self._client, self._table, requests)
