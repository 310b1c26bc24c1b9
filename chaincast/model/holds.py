"""Holds: items of the Subscriptions table which say that replay delivers to a connection, and fan-out does not.

A hold is stored under the topic `resuming/{source}`. chaincast/replay/holds.py explains the protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from chaincast.model.sharding import hold_partition_topic, subscription_partition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

Item: TypeAlias = "Mapping[str, AttributeValueTypeDef]"

PASSED: Final = "#passed"
"""The id under which a partition of holds stores the newest batch that fan-out has left to replays (`passed`).
API Gateway gives no connection such an id."""

MAX_SECONDS: Final = 3 * 3600
"""Maximum lifetime of a hold in seconds: no connection lives longer than two hours."""


@dataclass(frozen=True, slots=True)
class HoldKey:
    """The key of a connection's hold on a source. `token`: the replay that owns it; `shards` locates its partition."""

    connection_id: str
    source: str
    shards: int
    token: str

    @property
    def partition(self) -> str:
        """The partition key of the hold."""
        return subscription_partition(hold_partition_topic(self.source), self.connection_id, self.shards)


class PlannedReplay(Protocol):
    """A replay that begins together with a subscription (chaincast/replay/start.py)."""

    @property
    def key(self) -> HoldKey:
        """The key of its hold."""
        ...

    def enqueue(self) -> None:
        """Queue the replay's job, once. The job waits for the hold."""
        ...

    def hold(self, table: str, before: Item | None) -> TransactWriteItemTypeDef:
        """Return the write that places the hold, if the present one is still `before` (None: there is none)."""
        ...
