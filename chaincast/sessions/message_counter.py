"""Counting a client's message while its connection's record is read: one write, however much is counted."""

from __future__ import annotations

from chaincast.policy.rate_limits import Limits, Visit, owner_of_user
from chaincast.sessions.connection_store import Connection, Connections, slot
from chaincast.sessions.quota_store import Admission


class Visits:
    """`users`: whether connections may have users, whose messages are counted together."""

    def __init__(self, connections: Connections, admission: Admission, limits: Limits, *, users: bool) -> None:
        self._connections = connections
        self._admission = admission
        self._limits = limits
        self._by_user = users and limits.messages_per_user > 0

    def count(self, connection_id: str, now_ms: int) -> tuple[Connection, Visit] | None:
        """A message came: the connection's record, and the counts; None if there is no record (closed meanwhile).

        Of a user's connections messages are counted with the user's. The one message in five minutes that moves the
        connection's `seen` is counted there instead, as all messages of nobody's connections are.
        """
        if self._by_user:
            connection = self._connections.get(connection_id)
            if connection is None:
                return None
            if connection.user and connection.seen == slot(now_ms):
                owner = owner_of_user(connection.user)
                return connection, self._admission.count_message(owner, connection_id, now_ms)
        if not self._limits.messages_per_minute:
            touched = self._connections.touch(connection_id, now_ms)
            return None if touched is None else (touched, Visit())
        found = self._connections.visit(connection_id, now_ms)
        return None if found is None else (found[0], Visit(found[1]))
