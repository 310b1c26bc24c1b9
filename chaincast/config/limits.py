"""`[limits]`: limits of one client, connection, user or IP address."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from chaincast.config.access import Cidr
from chaincast.config.section import Section
from chaincast.policy import rate_limits

_Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
_AtOnce: TypeAlias = Annotated[int, Field(ge=0, le=2_000)]
"""The ids of an address's (a user's) open connections are stored in one DynamoDB item of at most 400 KB."""


MAX_MESSAGE_BYTES: Final = 32_768
"""API Gateway closes a connection that sends a longer WebSocket frame (with close code 1009). Its messages may have 128
KB, but browsers and most libraries send a message as one frame. ("Quotas for WebSocket APIs")"""

MAX_TOPICS: Final = 1_000
"""The topics of a connection are stored in one DynamoDB item of at most 400 KB."""

_MIN_MESSAGE_BYTES: Final = 256
"""A subscribe message with one long topic fits."""


def _check_message_bytes(value: int) -> int:
    if 0 < value < _MIN_MESSAGE_BYTES:
        raise ValueError(f"too small for a message: at least {_MIN_MESSAGE_BYTES}, or 0 for API Gateway's own limit")
    return value


class Limits(Section):
    """Limits of a client; 0 turns a limit off (docs/security.md)."""

    message_bytes: Annotated[int, Field(ge=0, le=MAX_MESSAGE_BYTES), AfterValidator(_check_message_bytes)] = Field(
        32_768, description="bytes of a message from a client; 0: API Gateway's own limit of a frame, 32768"
    )
    topics_per_message: Annotated[int, Field(ge=0, le=MAX_TOPICS)] = Field(
        50, description="topics in one subscribe message; 0: at most 1000"
    )
    subscriptions_per_connection: Annotated[int, Field(ge=0, le=MAX_TOPICS)] = Field(
        50, description="topics to which a connection is subscribed at a time; 0: at most 1000"
    )
    subscribes_per_hour: _Count = Field(20, description="subscribe messages of a connection per hour; 0: no limit")
    messages_per_minute: _Count = Field(
        100,
        description="messages of a connection per minute; a connection that sends twice as many is closed; 0: no limit",
    )
    messages_per_user: _Count = Field(500, description="messages of all connections of a user per minute; 0: no limit")
    connections_per_minute: _Count = Field(
        10, description="new connections from an IP address (IPv6: from a /64) per minute; 0: no limit"
    )
    connections_per_ip: _AtOnce = Field(
        100, description="open connections from an IP address (IPv6: from a /64); 0: no limit"
    )
    connections_per_user: _AtOnce = Field(100, description="open connections of a user; 0: no limit")
    ban_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        60,
        description="seconds for which new connections are refused from an address whose connection was closed for "
        "abuse; 0: no ban",
    )
    exempt_ips: tuple[Cidr, ...] = Field(
        (), description="networks (CIDR) without limits per address, for example an office or a load test"
    )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Return the first three limits, with AWS's own limit in place of 0."""
        topics = self.topics_per_message or MAX_TOPICS
        return self.message_bytes or MAX_MESSAGE_BYTES, topics, self.subscriptions_per_connection or MAX_TOPICS

    def rate_limits(self) -> rate_limits.Limits:
        """Return the limits that functions enforce by counting."""
        names = set(rate_limits.Limits.__dataclass_fields__)
        return rate_limits.Limits(**self.model_dump(include=names))
