"""The History table: events of the topics that have a history, by their position on the chain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import orjson

from chaincast.aws.dynamodb_batch import write_all
from chaincast.model.batches import Batch, Retraction, event_of
from chaincast.model.events import Event, position_of
from chaincast.model.topics import history_topic, history_topics

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef


ANSWER_BYTES = 100_000
"""Maximum bytes of one reply: API Gateway takes messages of 128 KB."""

READ = 100
"""Number of items per read."""

LOOKED_THROUGH = 1_000
"""Maximum number of items that are searched for names in one reply; the next reply continues."""


class HistoryReader:
    """Reads history, newest first."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]:
        """Return up to `limit` events of a topic, and the position to continue from (None: there are no more).

        `names`: return only contract events with these names. A reply that would be too long ends earlier.
        """
        found: list[Event] = []
        size = looked_through = 0
        start = before
        while True:
            items = self._before(topic, start, READ if names else min(limit - len(found) + 1, READ))
            for item in items:
                document = orjson.loads(item["event"]["B"])
                if not names or document["data"].get("event") in names:
                    size += len(item["event"]["B"])
                    if len(found) == limit or (found and size > ANSWER_BYTES):
                        return found, start
                    found.append(event_of(document))
                start = item["position"]["S"]
            looked_through += len(items)
            if not items:
                return found, None
            if looked_through >= LOOKED_THROUGH:
                return found, start

    def _before(self, topic: str, position: str | None, count: int) -> list[dict[str, AttributeValueTypeDef]]:
        values: dict[str, AttributeValueTypeDef] = {":t": {"S": topic}}
        condition = "#t = :t"
        if position is not None:
            values[":p"] = {"S": position}
            condition += " AND #p < :p"
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ProjectionExpression="#p, #e",
            ExpressionAttributeNames={"#t": "topic", "#p": "position", "#e": "event"},
            ScanIndexForward=False,
            Limit=count,
        )
        return answer["Items"]


class History:
    """Writes history. Repeating a write changes nothing: contents and expiry follow from the block alone."""

    def __init__(
        self, client: DynamoDBClient, table: str, retention_seconds: int, of_kinds: Mapping[str, int] | None = None
    ) -> None:
        """Create a writer. `of_kinds`: retention of certain kinds, in seconds."""
        self._client = client
        self._table = table
        self._retention = retention_seconds
        self._of_kinds = of_kinds or {}

    def add(self, batches: Iterable[Batch]) -> None:
        """Store the batches' events under their history topics. Raise `Unprocessed`."""
        requests: list[WriteRequestTypeDef] = [
            {"PutRequest": {"Item": item}} for batch in batches for item in self._items(batch)
        ]
        write_all(self._client, self._table, requests)

    def _items(self, batch: Batch) -> Iterator[dict[str, AttributeValueTypeDef]]:
        for event in batch.events:
            topic = history_topic(event.kind, event.topics)
            if topic is not None:
                kept_for = self._of_kinds.get(event.kind, self._retention)
                yield {
                    "topic": {"S": topic},
                    "position": {"S": event.position},
                    "cursor": {"S": batch.cursor},
                    "event": {"B": orjson.dumps(event)},
                    "expires_at": {"N": str(batch.timestamp // 1000 + kept_for)},
                }

    def remove_retracted(self, retractions: Iterable[Retraction]) -> None:
        """Delete events that a reorganisation undid. Raise `Unprocessed`.

        A retraction does not say the kind of its event, so that all topics are tried that have a history.
        """
        keys = {
            (topic, position_of(retraction.id))
            for retraction in retractions
            for topic in history_topics(retraction.topics)
        }
        requests: list[WriteRequestTypeDef] = [
            {"DeleteRequest": {"Key": {"topic": {"S": topic}, "position": {"S": position}}}}
            for topic, position in sorted(keys)
        ]
        write_all(self._client, self._table, requests)
