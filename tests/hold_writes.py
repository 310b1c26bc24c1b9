"""Places holds in tests, as the message function does for a connection that resumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.model.holds import HoldKey
from chaincast.replay.holds import place_hold

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def hold(client: DynamoDBClient, table: str, key: HoldKey, since: int, now_ms: int) -> None:
    """Place a hold, or take over the present one."""
    item = client.get_item(
        TableName=table,
        Key={"topic_shard": {"S": key.partition}, "connection_id": {"S": key.connection_id}},
        ConsistentRead=True,
    ).get("Item")
    client.transact_write_items(TransactItems=[place_hold(table, key, since, now_ms, item)])
