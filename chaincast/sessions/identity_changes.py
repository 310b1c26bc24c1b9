"""Changes of a connection's identity: who its user is, and whether it has joined."""

from __future__ import annotations

from collections.abc import Callable

from chaincast.protocol.commands import Caller, User
from chaincast.sessions.identity_service import IdentityService
from chaincast.sessions.subscription_store import SubscriptionStore


class IdentityChanges:
    """Changes identities together with the subscriptions that depend on them."""

    def __init__(self, subscriptions: SubscriptionStore, identities: IdentityService) -> None:
        self._subscriptions = subscriptions
        self._identities = identities

    def set_identity(
        self,
        caller: Caller,
        now_ms: int,
        remove: Callable[[str], bool],
        *,
        user: User | None = None,
        joined: bool | None = None,
    ) -> None:
        """Set the user of a connection and whether it has joined (None: unchanged), and remove topics that match.

        Raises `RequestError` with MAX_CONNECTIONS if the user has too many connections, and `IdentityChanged` if
        another message has changed the identity of the caller or the connection is closed.
        """
        if user is not None and user.id != caller.user:
            # If the identity has changed, the message is tried again and counts the connection once more, which
            # changes nothing. If the connection is closed, the quota heals (quota_store.py).
            self._identities.admit(user, caller.connection_id, now_ms)
        self._subscriptions.set_identity(caller.connection_id, caller.identity, remove, user=user, joined=joined)
        if user is not None and user.id != caller.user:
            self._identities.release(caller.user, caller.connection_id)
        if user is not None:
            self._identities.schedule_expiry(user, caller.connection_id, now_ms)
