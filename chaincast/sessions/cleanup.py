"""Forgetting connections that are gone: their records, their subscriptions, their places under the limits; as many at
once as the tables take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaincast.aws import boto_clients, environment
from chaincast.policy.rate_limits import Limits, owner_of_address, owner_of_user
from chaincast.sessions.connection_store import Connection, Connections
from chaincast.sessions.open_counts import Population
from chaincast.sessions.quota_store import Admission
from chaincast.sessions.subscription_store import Subscriptions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PARALLEL = 16


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What forgetting came to: the connections that nobody had forgotten before, and how many writes it took."""

    connections: Sequence[Connection]
    writes: int

    @property
    def dialects(self) -> Iterator[str]:
        """The dialect of each connection that was removed."""
        return (connection.dialect for connection in self.connections)


class Forgetter:
    """Deletes what the tables hold of connections. Repeating it is harmless."""

    def __init__(
        self, client: DynamoDBClient, connections: str, subscriptions: str, state: str, limits: Limits
    ) -> None:
        self._connections = Connections(client, connections)
        self._population = Population(client, state)
        self._subscriptions = Subscriptions(client, subscriptions, self._population)
        self._admission = Admission(client, state, self._connections)
        self._limits = limits

    @classmethod
    def from_environment(cls, limits: Limits) -> Forgetter:
        names = (environment.CONNECTIONS, environment.SUBSCRIPTIONS, environment.STATE)
        connections, subscriptions, state = map(environment.name_of, names)
        return cls(boto_clients.dynamodb(), connections, subscriptions, state, limits)

    def forget(
        self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()
    ) -> Forgotten:
        """Delete the records first, so that a message under way adds nothing more, then the subscriptions.

        `topics` and `shards`: where the caller may have seen rows. One that was put while the index item was being
        deleted is found by them, when it is met the next time.
        """
        gone = self._connections.remove_all(connection_ids)
        places = self._places(gone)
        with ThreadPoolExecutor(min(PARALLEL, len(places) or 1), "places") as threads:
            for done in [threads.submit(self._admission.leave, *place) for place in places.items()]:
                done.result()
        self._population.left(gone)
        return Forgotten(
            gone, len(connection_ids) + len(places) + self._subscriptions.remove_all(connection_ids, topics, shards)
        )

    def _places(self, gone: Iterable[Connection]) -> Mapping[str, list[str]]:
        """Where connections were counted while they were open, and which."""
        places: dict[str, list[str]] = defaultdict(list)
        for connection in gone:
            address = owner_of_address(connection.source_ip, self._limits.exempt_ips)
            if self._limits.connections_per_ip and address:
                places[address].append(connection.connection_id)
            if self._limits.connections_per_user and connection.user:
                places[owner_of_user(connection.user)].append(connection.connection_id)
        return places
