"""The History table: events under the few topics that have a history, by their position on the chain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import orjson

from chaincast.aws.dynamodb_batch import write_all
from chaincast.model.batches import Batch, event_of
from chaincast.model.events import Event
from chaincast.model.topics import history_topic

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, WriteRequestTypeDef


ANSWER_BYTES = 100_000
"""Of one answer: API Gateway takes 128 KB."""

READ = 100
"""Items read at once."""

LOOKED_THROUGH = 1_000
"""Items of which those with a name are picked, in one answer; the next answer goes on."""


class HistoryReader:
    """Reads what there is, the newest first."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]:
        """Up to `limit` events under a topic, and the position to go on from (None: there are no more).

        `names`: of contract events, only those called so. An answer that would be too long ends sooner.
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
    """Writes what a batch adds. Repeating it changes nothing: contents and expiry follow from the block alone."""

    def __init__(
        self, client: DynamoDBClient, table: str, retention_seconds: int, of_kinds: Mapping[str, int] | None = None
    ) -> None:
        """`of_kinds`: kinds that are kept for other times (s)."""
        self._client = client
        self._table = table
        self._retention = retention_seconds
        self._of_kinds = of_kinds or {}

    def add(self, batches: Iterable[Batch]) -> None:
        """Put the batches' events under their history topics. Raises `Unprocessed`."""
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

    def remove(self, events: Iterable[Event]) -> None:
        """Delete events that a reorg took back. Raises `Unprocessed`."""
        requests: list[WriteRequestTypeDef] = [
            {"DeleteRequest": {"Key": {"topic": {"S": topic}, "position": {"S": event.position}}}}
            for event in events
            if (topic := history_topic(event.kind, event.topics)) is not None
        ]
        write_all(self._client, self._table, requests)
