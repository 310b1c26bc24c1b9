"""Forgetting connections that are gone: their records, their subscriptions; as many at once as the table takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from chaincast.aws import clients, resources
from chaincast.aws.connections import Connections
from chaincast.aws.subscriptions import Subscriptions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Forgetter:
    """Deletes what the tables hold of connections. Repeating it is harmless."""

    def __init__(self, client: DynamoDBClient, connections: str, subscriptions: str) -> None:
        self._client = client
        self._connections = Connections(client, connections)
        self._subscriptions = Subscriptions(client, subscriptions)

    @classmethod
    def from_environment(cls) -> Forgetter:
        return cls(
            clients.dynamodb(), resources.name_of(resources.CONNECTIONS), resources.name_of(resources.SUBSCRIPTIONS)
        )

    def forget(self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()) -> int:
        """Delete the records first, so that a message under way adds nothing more, then the subscriptions; how many
        writes it took.

        `topics` and `shards`: where the caller may have seen rows. One that was put while the index item was being
        deleted is found by them, when it is met the next time.
        """
        self._connections.delete_all(connection_ids)
        return len(connection_ids) + self._subscriptions.remove_all(connection_ids, topics, shards)
