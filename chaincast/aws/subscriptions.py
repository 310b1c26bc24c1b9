"""The Subscriptions table, as clients' messages change it. (Fan-out reads it through `audience`.)

Besides a row per topic and connection it holds one *index item* per connection, the set of its topics. The set is
what the limit is checked against and what cleaning up goes by, in one consistent read; an index over the rows would be
read late, and rows written just before a disconnect would stay behind. It is written before rows are put and after
rows are deleted, so that it never misses one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError as AwsError

from chaincast.aws.connections import MAX_SECONDS
from chaincast.aws.writes import write_all
from chaincast.errors import ClientError, Code
from chaincast.shards import partition, shard_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

_GRACE_SECONDS = 600


def index_key(connection_id: str) -> str:
    """The partition key of a connection's index item; no topic begins with `connection/`."""
    return f"connection/{connection_id}"


class Subscriptions:
    """The table's operations."""

    def __init__(self, client: DynamoDBClient, table: str, shards: int) -> None:
        self._client = client
        self._table = table
        self._shards = shards

    def add(self, connection_id: str, dialect: str, topics: Sequence[str], limit: int, now_ms: int) -> None:
        """Subscribe a connection to topics, all or none. Raises `ClientError` with `MAX_SUBSCRIPTIONS`.

        When it returns, whatever is queued for fan-out from now on reaches the connection.
        """
        expires_at = str(now_ms // 1000 + MAX_SECONDS + _GRACE_SECONDS)
        before = self._add_to_index(connection_id, topics, expires_at)
        wanted = before.union(topics)
        if len(wanted) > limit:
            self._remove_from_index(connection_id, [t for t in topics if t not in before])
            raise ClientError(
                Code.MAX_SUBSCRIPTIONS,
                f"{len(wanted)} topics would be subscribed; at most {limit} for each connection: unsubscribe from some",
            )
        rows: list[WriteRequestTypeDef] = [
            {
                "PutRequest": {
                    "Item": {
                        "topic_shard": {"S": key},
                        "connection_id": {"S": connection_id},
                        "dialect": {"S": dialect},
                        "expires_at": {"N": expires_at},
                    }
                }
            }
            for key in self._partitions(connection_id, topics)
        ]
        self._write(rows)

    def remove(self, connection_id: str, topics: Sequence[str]) -> None:
        """Unsubscribe a connection; topics it does not hold are no error."""
        self._delete_rows(connection_id, topics)
        self._remove_from_index(connection_id, topics)

    def remove_all(self, connection_id: str) -> None:
        """Forget a connection's subscriptions."""
        key = {"topic_shard": {"S": index_key(connection_id)}, "connection_id": {"S": connection_id}}
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        if "Item" not in answer:
            return
        self._delete_rows(connection_id, answer["Item"].get("topics", {}).get("SS", []))
        self._client.delete_item(TableName=self._table, Key=key)

    def remove_rows(self, connection_id: str, topics: Sequence[str]) -> None:
        """Delete rows alone, for a connection that has no index item (any more)."""
        self._delete_rows(connection_id, topics)

    def _partitions(self, connection_id: str, topics: Iterable[str]) -> list[str]:
        shard = shard_of(connection_id, self._shards)
        return [partition(topic, shard) for topic in topics]

    def _add_to_index(self, connection_id: str, topics: Sequence[str], expires_at: str) -> set[str]:
        """Add topics to the index item; what it held before."""
        answer = self._client.update_item(
            TableName=self._table,
            Key={"topic_shard": {"S": index_key(connection_id)}, "connection_id": {"S": connection_id}},
            UpdateExpression="ADD topics :t SET expires_at = :e",
            ExpressionAttributeValues={":t": {"SS": list(topics)}, ":e": {"N": expires_at}},
            ReturnValues="UPDATED_OLD",
        )
        return set(answer.get("Attributes", {}).get("topics", {}).get("SS", []))

    def _remove_from_index(self, connection_id: str, topics: Sequence[str]) -> None:
        if not topics:
            return
        try:
            self._client.update_item(
                TableName=self._table,
                Key={"topic_shard": {"S": index_key(connection_id)}, "connection_id": {"S": connection_id}},
                UpdateExpression="DELETE topics :t",
                ConditionExpression="attribute_exists(topic_shard)",
                ExpressionAttributeValues={":t": {"SS": list(topics)}},
            )
        except AwsError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise

    def _delete_rows(self, connection_id: str, topics: Iterable[str]) -> None:
        keys = self._partitions(connection_id, topics)
        self._write(
            [
                {"DeleteRequest": {"Key": {"topic_shard": {"S": key}, "connection_id": {"S": connection_id}}}}
                for key in keys
            ]
        )

    def _write(self, requests: list[WriteRequestTypeDef]) -> None:
        write_all(self._client, self._table, requests)
