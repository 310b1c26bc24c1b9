"""The stores of a deployment's sessions, which share tables and count in each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaincast.sessions.connection_store import ConnectionStore
from chaincast.sessions.open_connections import OpenConnectionCounter
from chaincast.sessions.quota_store import QuotaStore
from chaincast.sessions.subscription_store import SubscriptionStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@dataclass(frozen=True, slots=True)
class SessionStores:
    """Everything that is stored about open connections."""

    connections: ConnectionStore
    subscriptions: SubscriptionStore
    open_counter: OpenConnectionCounter
    quotas: QuotaStore


def make_stores(
    client: DynamoDBClient, connections_table: str, subscriptions_table: str, state_table: str, shards: int = 1
) -> SessionStores:
    """Return the stores in these tables. `shards`: number of shards for the subscriptions of new connections."""
    connections = ConnectionStore(client, connections_table)
    open_counter = OpenConnectionCounter(client, state_table)
    return SessionStores(
        connections,
        SubscriptionStore(client, subscriptions_table, connections, open_counter, shards),
        open_counter,
        QuotaStore(client, state_table, connections),
    )
