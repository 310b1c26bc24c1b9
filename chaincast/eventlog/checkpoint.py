"""A source's checkpoint in State: how far its event log is, and of a network how far its listener is.

A network's lease, checkpoint and `queued` mark are one item, because one listener writes them all (`eventlog/lease`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaincast.eventlog.listener_status import ListenerStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Progress of a network: number of the newest batch (`seq`), of the newest queued one, and the newest block."""

    seq: int = 0
    queued: int = 0
    block: int | None = None
    block_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ChainProgress:
    """A listener's progress, for monitoring: the chain's head, and the time (s) of the newest block. 0: unknown."""

    head: int = 0
    block_time: int = 0


def checkpoint_key(source: str) -> dict[str, AttributeValueTypeDef]:
    """Return the key of a source's item in State, for networks and for app sources."""
    return {"key": {"S": f"network/{source}"}, "sort": {"S": "checkpoint"}}


def read_checkpoint(client: DynamoDBClient, table: str, source: str) -> Mapping[str, AttributeValueTypeDef]:
    """Read a source's item consistently. Return an empty mapping before its first batch."""
    return client.get_item(TableName=table, Key=checkpoint_key(source), ConsistentRead=True).get("Item", {})


def newest(client: DynamoDBClient, table: str, network: str) -> int:
    """Read the number of a network's newest batch; 0 before the first."""
    return int(read_checkpoint(client, table, network).get("seq", {"N": "0"})["N"])


def read_listener_status(client: DynamoDBClient, table: str, network: str) -> ListenerStatus:
    """Read the lease and progress that a network's listener last wrote."""
    item = read_checkpoint(client, table, network)

    def number(name: str) -> float:
        return float(item[name]["N"]) if name in item else 0.0

    return ListenerStatus(
        until=number("lease_until"),
        block=int(number("block")) if "block" in item else None,
        head=int(number("head")),
        block_time=int(number("block_time")),
    )
