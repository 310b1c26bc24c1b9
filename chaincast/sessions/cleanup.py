"""Removal of closed connections: their records, subscriptions and quota entries, with many writes in parallel."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chaincast.model.clock import now_ms
from chaincast.policy.rate_limits import Limits, owner_of_address, owner_of_user
from chaincast.sessions.connection_store import Connection
from chaincast.sessions.stores import SessionStores

MAX_PARALLEL_RELEASES = 16

HANDSHAKE_MS = 60_000
"""Age in milliseconds below which a connection may still be opening.

`$connect` stores the record before API Gateway opens the connection, and until then posts to it get 410.
"""


@dataclass(frozen=True, slots=True)
class RemovedConnections:
    """Result of a removal: the connections that no other function had removed before, and the number of writes."""

    connections: Sequence[Connection]
    writes: int

    @property
    def dialects(self) -> Iterator[str]:
        """The dialect of each removed connection."""
        return (connection.dialect for connection in self.connections)


class ConnectionCleanup:
    """Deletes everything that is stored about connections. Repeating it is harmless."""

    def __init__(self, stores: SessionStores, limits: Limits, clock: Callable[[], int] = now_ms) -> None:
        self._stores = stores
        self._limits = limits
        self._clock = clock

    def remove_gone(
        self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()
    ) -> RemovedConnections:
        """Remove connections for which API Gateway responds 410, except those that may still be opening.

        The latter are found again by the heartbeat, if they are closed.
        """
        since = self._clock() - HANDSHAKE_MS
        records = self._stores.connections.get_all(connection_ids)
        opening = {record.connection_id for record in records if record.connected_at > since}
        return self.remove([each for each in connection_ids if each not in opening], topics, shards)

    def remove(
        self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()
    ) -> RemovedConnections:
        """Delete the records first, so that a message in progress adds nothing afterwards, then the subscriptions.

        `topics` and `shards` say where the caller may have seen subscription rows. A row that was written while its
        index item was being deleted is found by them, the next time that a caller meets it.
        """
        removed = self._stores.connections.remove_all(connection_ids)
        by_owner = self._connections_by_owner(removed)
        with ThreadPoolExecutor(min(MAX_PARALLEL_RELEASES, len(by_owner) or 1), "releases") as threads:
            for release in [threads.submit(self._stores.quotas.release, *entry) for entry in by_owner.items()]:
                release.result()
        self._stores.open_counter.closed(removed)
        writes = self._stores.subscriptions.remove_all(connection_ids, topics, shards)
        return RemovedConnections(removed, len(connection_ids) + len(by_owner) + writes)

    def _connections_by_owner(self, connections: Iterable[Connection]) -> Mapping[str, list[str]]:
        """Return the owners whose quotas count these connections, with the ids of each owner's connections."""
        by_owner: dict[str, list[str]] = defaultdict(list)
        for connection in connections:
            address = owner_of_address(connection.source_ip, self._limits.exempt_ips)
            if self._limits.connections_per_ip and address:
                by_owner[address].append(connection.connection_id)
            if self._limits.connections_per_user and connection.user:
                by_owner[owner_of_user(connection.user)].append(connection.connection_id)
        return by_owner
