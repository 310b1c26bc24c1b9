"""`[limits]`: how much one client may do."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field

from chaincast.config.access import Cidr
from chaincast.config.section import Section
from chaincast.policy.rate_limits import Limits as Counted

_Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
_AtOnce: TypeAlias = Annotated[int, Field(ge=0, le=2_000)]
"""The ids of open connections stand in one item each for an address and a user."""


MOST_BYTES: Final = 131_072
"""Of a message: API Gateway closes a connection that sends more."""

MOST_TOPICS: Final = 1_000
"""Of a connection: they stand in one item, and DynamoDB's are 400 KB at most."""


def _sensible(value: int) -> int:
    if 0 < value < 256:
        raise ValueError("a message needs 256 bytes; 0 is no limit")
    return value


class Limits(Section):
    """What one client may do; 0 takes a limit off (docs/security.md)."""

    message_bytes: Annotated[int, Field(ge=0, le=MOST_BYTES), AfterValidator(_sensible)] = Field(
        32_768, description="longest message from a client; API Gateway refuses more than 131072; 0: no less than that"
    )
    topics_per_message: Annotated[int, Field(ge=0, le=MOST_TOPICS)] = Field(
        50, description="topics in one subscribe; 0: as many as a connection may hold at all, 1000"
    )
    subscriptions_per_connection: Annotated[int, Field(ge=0, le=MOST_TOPICS)] = Field(
        50, description="topics held at once; 0: as many as one record holds, 1000"
    )
    subscribes_per_hour: _Count = Field(20, description="subscribe messages of a connection in an hour; 0: any number")
    messages_per_minute: _Count = Field(
        100, description="messages of a connection in a minute; who sends twice as many is disconnected; 0: any number"
    )
    messages_per_user: _Count = Field(
        500, description="messages of all connections of a user together in a minute; 0: any number"
    )
    connections_per_minute: _Count = Field(
        10, description="new connections from an IP address (IPv6: from a /64) in a minute; 0: any number"
    )
    connections_per_ip: _AtOnce = Field(
        100, description="open connections from an IP address (IPv6: from a /64); 0: any number"
    )
    connections_per_user: _AtOnce = Field(100, description="open connections of a user; 0: any number")
    ban_seconds: Annotated[int, Field(ge=0, le=86_400)] = Field(
        60,
        description="how long nobody new is let in from the address of who was disconnected for abuse; 0: not at all",
    )
    exempt_ips: tuple[Cidr, ...] = Field(
        (), description="networks (CIDR) whose addresses nobody counts: an office, a load test, this machine"
    )

    @property
    def sizes(self) -> tuple[int, int, int]:
        """The first three, as functions need them: where there is no limit of ours, AWS's own."""
        topics = self.topics_per_message or MOST_TOPICS
        return self.message_bytes or MOST_BYTES, topics, self.subscriptions_per_connection or MOST_TOPICS

    def counted(self) -> Counted:
        """Those that are counted, as the functions need them."""
        return Counted(**self.model_dump(include=set(Counted.__dataclass_fields__)))
