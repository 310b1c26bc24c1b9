"""Whose connections are: noted on their records, counted for their users, and ended when what proves it ends."""

from __future__ import annotations

from collections.abc import Callable

from chaincast.jobs.messages import MAX_DELAY, Expiry, Job
from chaincast.policy.rate_limits import Limits, owner_of_user
from chaincast.protocol.commands import Caller, User
from chaincast.sessions.connection_store import MAX_SECONDS, Connections
from chaincast.sessions.quota_store import Admission


class Identities:
    """`order` puts a job in the lifecycle queue, with a delay in seconds."""

    def __init__(
        self, connections: Connections, admission: Admission, limits: Limits, order: Callable[[Job, int], None]
    ) -> None:
        self._connections = connections
        self._admission = admission
        self._limits = limits
        self._order = order

    def know(self, caller: Caller, now_ms: int, *, user: User | None = None, joined: bool | None = None) -> None:
        """Note whose a connection is and whether it has joined; what is None stays. Raises `ClientError` with
        MAX_CONNECTIONS if the user has too many."""
        if user is not None and user.id != caller.user:
            self.admit(user, caller.connection_id, now_ms)
            self.release(caller.user, caller.connection_id)
        self._connections.know(caller.connection_id, user=user, joined=joined)
        if user is not None:
            self.order_expiry(user, caller.connection_id, now_ms)

    def admit(self, user: User, connection_id: str, now_ms: int) -> None:
        """Count a connection as its user's. Raises `ClientError` with MAX_CONNECTIONS."""
        if most := self._limits.connections_per_user:
            self._admission.enter(owner_of_user(user.id), connection_id, now_ms, per_minute=0, at_once=most)

    def release(self, user: str, connection_id: str) -> None:
        """It is not, any more (or never was anybody's: `user` is empty)."""
        if user and self._limits.connections_per_user:
            self._admission.leave(owner_of_user(user), [connection_id])

    def order_expiry(self, user: User, connection_id: str, now_ms: int) -> None:
        """See to it that the end of the user's proof is noticed, if the connection may live to see it."""
        left = user.until - now_ms // 1000
        if user.until and left <= MAX_SECONDS:
            self._order(Expiry(connection_id, user.until), min(max(left, 0), MAX_DELAY))
