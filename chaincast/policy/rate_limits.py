"""Rate limits: how much one client may do, which address or user a limit applies to, and the error beyond it.

IPv6 addresses count by /64, the smallest network that providers assign. Windows: of connections, a minute that begins
with the first one; of messages, a minute of the clock. The counting itself is one conditional DynamoDB write each
(chaincast/sessions/quota_store.py, connection_store.py), so it is exact however many functions count at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address, ip_network

from chaincast.errors import Code, ProtocolViolation, RequestError
from chaincast.policy.origin_policy import address_of

MINUTE_MS = 60_000
HOUR_MS = 3_600_000

DISCONNECT_FACTOR = 2
"""A connection that exceeds its limit of messages per minute by this factor is closed."""

_PREFIX = 64


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one address, user or connection; 0 means no limit."""

    connections_per_minute: int = 0
    connections_per_ip: int = 0
    connections_per_user: int = 0
    messages_per_minute: int = 0
    messages_per_user: int = 0
    subscribes_per_hour: int = 0
    ban_seconds: int = 0
    exempt_ips: tuple[str, ...] = ()
    """Networks (CIDR) whose addresses have no limits."""

    @property
    def counts_addresses(self) -> bool:
        """True if a limit applies to addresses, so that connections must be counted by address."""
        return bool(self.connections_per_minute or self.connections_per_ip or self.ban_seconds)


@dataclass(frozen=True, slots=True)
class MessageCounts:
    """Numbers of messages in the current minute, including the current one: on its connection, and of its user."""

    by_connection: int = 0
    by_user: int = 0


def owner_of_address(address: str, exempt: Sequence[str] = ()) -> str:
    """Return the key under which connections from an address are counted; empty if the address is exempt."""
    parsed = address_of(address)
    if parsed is None:
        return f"ip/{address[:64]}"
    if any(parsed in ip_network(network, strict=False) for network in exempt):
        return ""
    if isinstance(parsed, IPv6Address):
        return f"ip/{ip_network((parsed, _PREFIX), strict=False)}"
    return f"ip/{parsed}"


def owner_of_user(user: str) -> str:
    """Return the key under which the connections and messages of a user are counted."""
    return f"user/{user}"


class AbuseAction(Enum):
    """The reaction to a message of a connection that goes far beyond its limit."""

    DISCONNECT_AND_BAN = "disconnect and ban"
    """Close the connection and ban its address: this is the first such message of the minute."""
    DISCONNECT_AGAIN = "disconnect again"
    """Close the connection once more, because it should have been closed by now."""
    DROP = "drop"
    """Ignore the message, which was sent before the connection was closed. It costs no more than its count."""


@dataclass(frozen=True, slots=True)
class RateDecision:
    """The reaction to a message, given how many came before it.

    refusal: RATE_LIMITED if the message exceeds a limit. It is a `ProtocolViolation`, which closes the connection, if
        the message exceeds `DISCONNECT_FACTOR` times a limit.
    abuse: the reaction beyond the refusal, in the latter case.
    """

    refusal: RequestError | None = None
    abuse: AbuseAction | None = None


def check_message_rate(counts: MessageCounts, limits: Limits, now_ms: int) -> RateDecision:
    """Decide what happens to a message."""
    abuse = _abuse_action(counts, limits)
    error_type = RequestError if abuse is None else ProtocolViolation
    for count, limit, owner in _limited_counts(counts, limits):
        if count > limit:
            message = f"{count} messages in this minute; at most {limit} for each {owner}"
            details = retry_after(MINUTE_MS - now_ms % MINUTE_MS)
            return RateDecision(error_type(Code.RATE_LIMITED, message, details=details), abuse)
    return RateDecision()


def _abuse_action(counts: MessageCounts, limits: Limits) -> AbuseAction | None:
    for count, limit, _ in _limited_counts(counts, limits):
        if count > DISCONNECT_FACTOR * limit:
            if count == DISCONNECT_FACTOR * limit + 1:
                return AbuseAction.DISCONNECT_AND_BAN
            is_first_of_next_limit = (count - 1) % limit == 0
            return AbuseAction.DISCONNECT_AGAIN if is_first_of_next_limit else AbuseAction.DROP
    return None


def _limited_counts(counts: MessageCounts, limits: Limits) -> Iterator[tuple[int, int, str]]:
    """Yield each count that has a limit, with the limit and the name of what it limits."""
    if limits.messages_per_minute:
        yield counts.by_connection, limits.messages_per_minute, "connection"
    if limits.messages_per_user:
        yield counts.by_user, limits.messages_per_user, "user"


def too_many_subscribes(count: int, limit: int, now_ms: int) -> RequestError | None:
    """Return the error for the `count`-th subscribe of this hour on a connection; None if it is within the limit."""
    if not limit or count <= limit:
        return None
    rule = f"{count} subscribe messages in this hour; at most {limit} for each connection"
    message = f"{rule} (each may name many topics)"
    return RequestError(Code.RATE_LIMITED, message, details=retry_after(HOUR_MS - now_ms % HOUR_MS))


def retry_after(ms: int) -> dict[str, int]:
    """Return the error detail with the number of whole seconds after which a client may try again."""
    return {"retry_after": max(1, -(-ms // 1000))}
