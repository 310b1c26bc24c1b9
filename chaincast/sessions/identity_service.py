"""The user of a connection: counted against the user's quota, and expired with the user's token."""

from __future__ import annotations

from chaincast.jobs.messages import MAX_DELAY_SECONDS, IdentityExpiry
from chaincast.jobs.queue import JobQueue
from chaincast.policy.rate_limits import Limits, owner_of_user
from chaincast.protocol.commands import User
from chaincast.sessions.connection_store import MAX_CONNECTION_SECONDS
from chaincast.sessions.quota_store import QuotaStore


class IdentityService:
    """Limits the number of connections per user, and schedules the ends of their tokens."""

    def __init__(self, quotas: QuotaStore, limits: Limits, jobs: JobQueue) -> None:
        self._quotas = quotas
        self._limits = limits
        self._jobs = jobs

    def admit(self, user: User, connection_id: str, now_ms: int) -> None:
        """Count a connection of a user. Raises `RequestError` with MAX_CONNECTIONS if there are too many."""
        if limit := self._limits.connections_per_user:
            self._quotas.admit(owner_of_user(user.id), connection_id, now_ms, per_minute=0, at_once=limit)

    def release(self, user: str, connection_id: str) -> None:
        """Remove a connection from those counted for a user id. Do nothing if the id is empty (anonymous)."""
        if user and self._limits.connections_per_user:
            self._quotas.release(owner_of_user(user), [connection_id])

    def schedule_expiry(self, user: User, connection_id: str, now_ms: int) -> None:
        """Enqueue a job for the end of the user's token, if the connection can last that long."""
        seconds_left = user.expires_at - now_ms // 1000
        if user.expires_at and seconds_left <= MAX_CONNECTION_SECONDS:
            delay = min(max(seconds_left, 0), MAX_DELAY_SECONDS)
            self._jobs.enqueue(IdentityExpiry(connection_id, user.expires_at), delay)
