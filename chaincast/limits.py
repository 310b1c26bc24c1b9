"""How much one client may do: the limits, whom they count for, and what is answered to who passes them.

Addresses of IPv6 count by /64, the smallest network that anybody is given. Windows: of connections, a minute from the
first one on; of messages, a minute of the clock. The counting itself is DynamoDB's (chaincast/aws/admission.py,
connections.py): one conditional write each, so that it is exact however many functions count at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

from chaincast.errors import ClientError, Code, ProtocolViolation

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

ABUSE = 2
"""Who sends so many times what is allowed in a minute has not listened to the answers: the connection is closed."""

_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """0: no limit. Messages and connections in a minute, subscribes in an hour, connections at once."""

    connections_per_minute: int = 0
    connections_per_ip: int = 0
    connections_per_user: int = 0
    messages_per_minute: int = 0
    messages_per_user: int = 0
    subscribes_per_hour: int = 0
    cool_down_seconds: int = 0
    exempt_ips: tuple[str, ...] = ()
    """Networks (CIDR) whose addresses nobody counts."""

    @property
    def counts_addresses(self) -> bool:
        return bool(self.connections_per_minute or self.connections_per_ip or self.cool_down_seconds)


@dataclass(frozen=True, slots=True)
class Visit:
    """How many messages came in the minute of one, itself included: on its connection, of its user."""

    of_connection: int = 0
    of_user: int = 0


def owner_of_address(address: str, exempt: Sequence[str] = ()) -> str:
    """Whom an address counts for; empty: nobody."""
    try:
        found = ip_address(address)
    except ValueError:
        return f"ip/{address[:64]}"
    if isinstance(found, IPv6Address):
        found = found.ipv4_mapped or found
    if any(found in ip_network(network, strict=False) for network in exempt):
        return ""
    if isinstance(found, IPv6Address):
        return f"ip/{ip_network((found, _PREFIX), strict=False)}"
    return f"ip/{found}"


def owner_of_user(user: str) -> str:
    """Whom a user's connections and messages count for."""
    return f"user/{user}"


def refusal(visit: Visit, limits: Limits, now_ms: int) -> ClientError | None:
    """Why a message is not served: `RATE_LIMITED`; as a `ProtocolViolation` where the connection is to be closed."""
    for count, limit, whose in (
        (visit.of_connection, limits.messages_per_minute, "connection"),
        (visit.of_user, limits.messages_per_user, "user"),
    ):
        if limit and count > limit:
            kind = ProtocolViolation if count > ABUSE * limit else ClientError
            words = f"{count} messages in this minute; at most {limit} for each {whose}"
            return kind(Code.RATE_LIMITED, words, details=retry_after(MINUTE_MS - now_ms % MINUTE_MS))
    return None


def begins_abuse(visit: Visit, limits: Limits) -> bool:
    """Whether a message is the first that is too much too often; of the same minute only one is."""
    return (limits.messages_per_minute > 0 and visit.of_connection == ABUSE * limits.messages_per_minute + 1) or (
        limits.messages_per_user > 0 and visit.of_user == ABUSE * limits.messages_per_user + 1
    )


def too_many_subscribes(count: int, limit: int, now_ms: int) -> ClientError | None:
    """Why a subscribe, the `count`-th of this hour on its connection, is not served."""
    if not limit or count <= limit:
        return None
    words = f"{count} subscribe messages in this hour; at most {limit} for each connection (each may name many topics)"
    return ClientError(Code.RATE_LIMITED, words, details=retry_after(HOUR_MS - now_ms % HOUR_MS))


def retry_after(ms: int) -> dict[str, int]:
    """The detail of an error that says when trying again makes sense, in whole seconds."""
    return {"retry_after": max(1, -(-ms // 1000))}
