"""Counts each message of a client in the same write that reads its connection's record."""

from __future__ import annotations

from chaincast.policy.rate_limits import Limits, MessageCounts, owner_of_user
from chaincast.sessions.connection_store import Connection, ConnectionStore, activity_slot
from chaincast.sessions.quota_store import QuotaStore


class MessageRateCounter:
    """Counts messages by connection, and by user if `users` is true (that is, if connections are authenticated)."""

    def __init__(self, connections: ConnectionStore, quotas: QuotaStore, limits: Limits, *, users: bool) -> None:
        self._connections = connections
        self._quotas = quotas
        self._limits = limits
        self._by_user = users and limits.messages_per_user > 0

    def count(self, connection_id: str, now_ms: int) -> tuple[Connection, MessageCounts] | None:
        """Count a message. Return the connection's record and the counts; None if the connection has no record.

        Messages of an authenticated connection are counted in the user's item. The exception is the one message in
        five minutes that updates the record's activity slot: it is counted in the record instead, as all messages of
        anonymous connections are. So every message costs one write.
        """
        if self._by_user:
            connection = self._connections.get(connection_id)
            if connection is None:
                return None
            if connection.user and connection.active_slot == activity_slot(now_ms):
                owner = owner_of_user(connection.user)
                return connection, self._quotas.count_message(owner, connection_id, now_ms)
        if not self._limits.messages_per_minute:
            active = self._connections.mark_active(connection_id, now_ms)
            return None if active is None else (active, MessageCounts())
        counted = self._connections.count_message(connection_id, now_ms)
        return None if counted is None else (counted[0], MessageCounts(counted[1]))
