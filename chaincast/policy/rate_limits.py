"""How much one client may do: the limits, whom they count for, and what is answered to who passes them.

Addresses of IPv6 count by /64, the smallest network that anybody is given. Windows: of connections, a minute from the
first one on; of messages, a minute of the clock. The counting itself is DynamoDB's (chaincast/sessions/quota_store.py,
connections.py): one conditional write each, so that it is exact however many functions count at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_network

from chaincast.errors import ClientError, Code, ProtocolViolation
from chaincast.policy.origin_policy import address_of

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
    found = address_of(address)
    if found is None:
        return f"ip/{address[:64]}"
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
    kind = ClientError if abuse(visit, limits) is None else ProtocolViolation
    for count, limit, whose in _counted(visit, limits):
        if count > limit:
            words = f"{count} messages in this minute; at most {limit} for each {whose}"
            return kind(Code.RATE_LIMITED, words, details=retry_after(MINUTE_MS - now_ms % MINUTE_MS))
    return None


class Abuse(Enum):
    """What a message that is too much too often is to bring about."""

    BEGINS = "begins"
    """It is the first of its minute: close the connection, bar its address."""
    GOES_ON = "goes on"
    """The connection should have been closed: close it again, now and then."""
    IS_IGNORED = "is ignored"
    """It was sent before the connection was closed: it costs no more than its count."""


def abuse(visit: Visit, limits: Limits) -> Abuse | None:
    """What a message is beyond one that is not served; None: no abuse."""
    for count, limit, _ in _counted(visit, limits):
        if count > ABUSE * limit:
            if count == ABUSE * limit + 1:
                return Abuse.BEGINS
            return Abuse.GOES_ON if count % limit == 1 % limit else Abuse.IS_IGNORED
    return None


def _counted(visit: Visit, limits: Limits) -> Iterator[tuple[int, int, str]]:
    """Each count with its limit, where there is one, and whose it is."""
    if limits.messages_per_minute:
        yield visit.of_connection, limits.messages_per_minute, "connection"
    if limits.messages_per_user:
        yield visit.of_user, limits.messages_per_user, "user"


def too_many_subscribes(count: int, limit: int, now_ms: int) -> ClientError | None:
    """Why a subscribe, the `count`-th of this hour on its connection, is not served."""
    if not limit or count <= limit:
        return None
    words = f"{count} subscribe messages in this hour; at most {limit} for each connection (each may name many topics)"
    return ClientError(Code.RATE_LIMITED, words, details=retry_after(HOUR_MS - now_ms % HOUR_MS))


def retry_after(ms: int) -> dict[str, int]:
    """The detail of an error that says when trying again makes sense, in whole seconds."""
    return {"retry_after": max(1, -(-ms // 1000))}
