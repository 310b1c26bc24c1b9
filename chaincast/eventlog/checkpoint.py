"""A network's place in State: lease, checkpoint and `queued` mark in one item, because one listener writes them all.

The item is conditioned on the lease's *fence*, a number that every take-over raises: whatever a listener writes after
it lost the lease fails, however long it was paused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError as AwsError

from chaincast.errors import CursorTaken, LeaseLost
from chaincast.eventlog.listener_status import ListenerStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

_ATTEMPTS = 8
_PASSING = frozenset({"None", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
"""Reasons to cancel a transaction that pass by themselves. A standby asking for the lease is such a conflict; the SDK
retries none of them."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a network is done: `seq` appended, `queued` queued, `block` the newest block that is in both."""

    seq: int = 0
    queued: int = 0
    block: int | None = None
    block_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a listener says of itself besides: the newest block it knows of, and when (s) the newest that is done was
    made; 0: not known yet."""

    head: int = 0
    block_time: int = 0


def checkpoint_key(source: str) -> dict[str, AttributeValueTypeDef]:
    """Where in State a source's place is: of a network, or of one that backends publish to."""
    return {"key": {"S": f"network/{source}"}, "sort": {"S": "checkpoint"}}


def newest(client: DynamoDBClient, table: str, network: str) -> int:
    """The number of a network's newest batch; 0 before the first."""
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


def read_checkpoint(client: DynamoDBClient, table: str, source: str) -> Mapping[str, AttributeValueTypeDef]:
    """What is there of a source's place, read consistently; nothing, before its first batch."""
    return client.get_item(TableName=table, Key=checkpoint_key(source), ConsistentRead=True).get("Item", {})


class Lease:
    """The right to write one network. Every method but `acquire` raises `LeaseLost` once another holds it."""

    def __init__(self, client: DynamoDBClient, table: str, network: str, owner: str, seconds: float) -> None:
        self._client = client
        self._table = table
        self._network = network
        self._owner = owner
        self._seconds = seconds
        self._fence = 0
        self._held_until = 0.0
        self.standing = Standing()
        """What is written along with whatever is written here."""
        self.sharding = ""
        """What was last remembered of the shards; empty at first."""
        self.backfill_to = -1
        """Up to which block events are not for clients: what was before, and what a backfill reads."""
        self._key = checkpoint_key(network)

    def acquire(self) -> Checkpoint | None:
        """Take the lease if it is free, expired, or this owner's from an earlier life; `None` if another holds it."""
        now = time.time()
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET #o = :o, lease_until = :u ADD fence :one",
                ConditionExpression="attribute_not_exists(lease_until) OR lease_until < :now OR #o = :o",
                ExpressionAttributeNames={"#o": "owner"},
                ExpressionAttributeValues={
                    ":o": {"S": self._owner},
                    ":u": self._until(now),
                    ":now": {"N": f"{now:.3f}"},
                    ":one": {"N": "1"},
                },
                ReturnValues="ALL_NEW",
            )
        except AwsError as error:
            # A conflict is with a transaction of the listener that holds the lease.
            if _code(error) in ("ConditionalCheckFailedException", "TransactionConflictException"):
                return None
            raise
        item = answer["Attributes"]
        self._fence = int(item["fence"]["N"])
        self._renewed(now)
        self.sharding = item["sharding"]["S"] if "sharding" in item else ""
        self.backfill_to = int(item["backfill_to"]["N"]) if "backfill_to" in item else -1
        if "block" not in item:
            return Checkpoint()
        return Checkpoint(
            seq=int(item["seq"]["N"]),
            queued=int(item["queued"]["N"]),
            block=int(item["block"]["N"]),
            block_hash=item["block_hash"]["S"],
        )

    def append(self, writes: Sequence[TransactWriteItemTypeDef], checkpoint: Checkpoint) -> None:
        """Append Log items and move the checkpoint, both or neither. Raises `CursorTaken` too."""
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": self._key,
                "UpdateExpression": _UPDATE,
                "ConditionExpression": "fence = :f",
                "ExpressionAttributeNames": _NAMES,
                "ExpressionAttributeValues": self._values(checkpoint),
            }
        }
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(uniform(0.5, 1) * 0.02 * 2**attempt)  # noqa: S311 - jitter, no secret
            try:
                now = time.time()
                self._client.transact_write_items(TransactItems=[update, *writes])
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = [r.get("Code", "None") for r in error.response.get("CancellationReasons", [])]
                if reasons and reasons[0] == "ConditionalCheckFailed":
                    raise self._lost() from None
                if "ConditionalCheckFailed" in reasons:
                    raise CursorTaken(f"{self._network}: the Log already has number {checkpoint.seq}") from None
                if attempt == _ATTEMPTS - 1 or not _PASSING.issuperset(reasons):
                    raise
            else:
                self._renewed(now)
                return

    def move(self, checkpoint: Checkpoint) -> None:
        """Move the checkpoint over blocks that brought nothing, or the `queued` mark; renews the lease as well."""
        now = time.time()
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=_UPDATE,
                ConditionExpression="fence = :f",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=self._values(checkpoint),
            )
        except AwsError as error:
            if _code(error) == "ConditionalCheckFailedException":
                raise self._lost() from None
            raise
        self._renewed(now)

    def remember(self, sharding: str) -> None:
        """Keep what there is to know of the shards."""
        self._set("sharding", {"S": sharding})
        self.sharding = sharding

    def begin_backfill(self, to: int) -> None:
        """Keep up to which block events are not for clients, before the checkpoint is first set."""
        self._set("backfill_to", {"N": str(to)})
        self.backfill_to = to

    def renew(self) -> None:
        """Hold the lease for another term."""
        now = time.time()
        self._update(
            "SET lease_until = :u, head = :head, block_time = :time", {":u": self._until(now), **self._stands()}
        )
        self._renewed(now)

    def check(self) -> None:
        """Raises `LeaseLost` if the lease's term is over by this machine's clock: before what no fence can guard.

        A process that was paused for longer than its lease wakes here, in the middle of something.
        """
        if monotonic() > self._held_until:
            raise LeaseLost(f"{self._network}: the lease was not renewed in time; another listener may have it")

    def release(self) -> None:
        """Give the lease back, so that the next listener need not wait for it to expire."""
        self._set("lease_until", {"N": "0"})

    def _set(self, name: str, value: AttributeValueTypeDef) -> None:
        self._update(f"SET {name} = :v", {":v": value})

    def _update(self, change: str, values: Mapping[str, AttributeValueTypeDef]) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=change,
                ConditionExpression="fence = :f",
                ExpressionAttributeValues={**values, ":f": {"N": str(self._fence)}},
            )
        except AwsError as error:
            if _code(error) == "ConditionalCheckFailedException":
                raise self._lost() from None
            raise

    def _values(self, checkpoint: Checkpoint) -> dict[str, AttributeValueTypeDef]:
        return {
            ":f": {"N": str(self._fence)},
            ":u": self._until(time.time()),
            ":seq": {"N": str(checkpoint.seq)},
            ":queued": {"N": str(checkpoint.queued)},
            ":block": {"N": str(checkpoint.block)},
            ":hash": {"S": checkpoint.block_hash or ""},
            **self._stands(),
        }

    def _stands(self) -> dict[str, AttributeValueTypeDef]:
        return {":head": {"N": str(self.standing.head)}, ":time": {"N": str(self.standing.block_time)}}

    def _until(self, now: float) -> AttributeValueTypeDef:
        return {"N": f"{now + self._seconds:.3f}"}

    def _renewed(self, asked_at: float) -> None:
        """A term began when it was asked for, not when the answer came."""
        self._held_until = monotonic() + self._seconds - (time.time() - asked_at)

    def _lost(self) -> LeaseLost:
        return LeaseLost(f"{self._network}: another listener took the lease over (fence {self._fence} is old)")


_UPDATE = (
    "SET lease_until = :u, seq = :seq, queued = :queued, #b = :block, block_hash = :hash, head = :head, "
    "block_time = :time"
)
_NAMES = {"#b": "block"}


def _code(error: AwsError) -> str:
    return error.response["Error"]["Code"]
