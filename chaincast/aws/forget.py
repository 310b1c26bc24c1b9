"""Forgetting a connection that is gone: its record, its subscriptions."""

from __future__ import annotations

from collections.abc import Iterable

from chaincast.aws import clients, resources
from chaincast.aws.connections import Connections
from chaincast.aws.subscriptions import Subscriptions


class Forgetter:
    """Deletes what the tables hold of connections. Repeating it is harmless."""

    def __init__(self, connections: Connections, subscriptions: Subscriptions) -> None:
        self._connections = connections
        self._subscriptions = subscriptions

    @classmethod
    def from_environment(cls, shards: int) -> Forgetter:
        database = clients.dynamodb()
        return cls(
            Connections(database, resources.name_of(resources.CONNECTIONS)),
            Subscriptions(database, resources.name_of(resources.SUBSCRIPTIONS), shards),
        )

    def forget(self, connection_id: str, known_topics: Iterable[str] = ()) -> None:
        """Delete the record first, so that a message under way adds nothing more, then the subscriptions.

        `known_topics` are rows the caller saw: one that was put while the index item was being deleted goes by them.
        """
        self._connections.delete(connection_id)
        self._subscriptions.remove_all(connection_id)
        self._subscriptions.remove_rows(connection_id, list(known_topics))
