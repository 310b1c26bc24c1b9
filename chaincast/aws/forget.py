"""Forgetting connections that are gone: their records, their subscriptions, their places under the limits; as many at
once as the tables take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from chaincast.aws import clients, resources
from chaincast.aws.admission import Admission
from chaincast.aws.connections import Connections
from chaincast.aws.subscriptions import Subscriptions
from chaincast.limits import Limits, owner_of_address, owner_of_user

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARALLEL = 16


class Forgetter:
    """Deletes what the tables hold of connections. Repeating it is harmless."""

    def __init__(
        self, client: DynamoDBClient, connections: str, subscriptions: str, state: str, limits: Limits
    ) -> None:
        self._connections = Connections(client, connections)
        self._subscriptions = Subscriptions(client, subscriptions)
        self._admission = Admission(client, state, self._connections)
        self._limits = limits

    @classmethod
    def from_environment(cls, limits: Limits) -> Forgetter:
        names = (resources.CONNECTIONS, resources.SUBSCRIPTIONS, resources.STATE)
        connections, subscriptions, state = map(resources.name_of, names)
        return cls(clients.dynamodb(), connections, subscriptions, state, limits)

    def forget(self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()) -> int:
        """Delete the records first, so that a message under way adds nothing more, then the subscriptions; how many
        writes it took.

        `topics` and `shards`: where the caller may have seen rows. One that was put while the index item was being
        deleted is found by them, when it is met the next time.
        """
        places = self._places(connection_ids)
        self._connections.delete_all(connection_ids)
        with ThreadPoolExecutor(min(PARALLEL, len(places) or 1), "places") as threads:
            for done in [threads.submit(self._admission.leave, *place) for place in places.items()]:
                done.result()
        return len(connection_ids) + len(places) + self._subscriptions.remove_all(connection_ids, topics, shards)

    def _places(self, connection_ids: Sequence[str]) -> Mapping[str, list[str]]:
        """Where connections are counted while they are open, and which."""
        places: dict[str, list[str]] = defaultdict(list)
        by_address, by_user = self._limits.connections_per_ip, self._limits.connections_per_user
        if not (by_address or by_user):
            return places
        for connection in self._connections.get_all(connection_ids):
            if by_address and (owner := owner_of_address(connection.source_ip, self._limits.exempt_ips)):
                places[owner].append(connection.connection_id)
            if by_user and connection.user:
                places[owner_of_user(connection.user)].append(connection.connection_id)
        return places
