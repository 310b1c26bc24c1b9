"""The lease of a network: the right of one listener to write it.

Every write is conditioned on the lease's *fence*, a number that grows with each change of the holder. A listener that
lost the lease fails at its next write, however long it was paused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError as AwsError

from chaincast.aws.transactions import ConditionsFailed, transact
from chaincast.errors import CursorTaken, LeaseLost
from chaincast.eventlog.checkpoint import ChainProgress, Checkpoint, checkpoint_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef


class Lease:
    """The right to write one network. Every method but `acquire` raises `LeaseLost` once another listener holds it."""

    def __init__(self, client: DynamoDBClient, table: str, network: str, owner: str, seconds: float) -> None:
        self._client = client
        self._table = table
        self._network = network
        self._owner = owner
        self._seconds = seconds
        self._fence = 0
        self._held_until = 0.0
        self.sharding = ""
        """The saved sharding state; empty at first."""
        self.backfill_to = -1
        """The last block whose events are not delivered to clients, because the backfill reads it or skips it."""
        self._key = checkpoint_key(network)

    def acquire(self) -> Checkpoint | None:
        """Take the lease if it is free, expired, or this owner's own. Return None if another listener holds it."""
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
            # The conflicting transaction is one of the listener that holds the lease.
            if _code(error) in ("ConditionalCheckFailedException", "TransactionConflictException"):
                return None
            raise
        item = answer["Attributes"]
        self._fence = int(item["fence"]["N"])
        self._extend_term(now)
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

    def commit(
        self, writes: Sequence[TransactWriteItemTypeDef], checkpoint: Checkpoint, progress: ChainProgress
    ) -> None:
        """Execute writes and save the checkpoint in one transaction. Raise `CursorTaken` if a write is refused."""
        update: TransactWriteItemTypeDef = {
            "Update": {
                "TableName": self._table,
                "Key": self._key,
                "UpdateExpression": _UPDATE,
                "ConditionExpression": "fence = :f",
                "ExpressionAttributeNames": _NAMES,
                "ExpressionAttributeValues": self._values(checkpoint, progress),
            }
        }
        now = time.time()
        try:
            # A standby that asks for the lease causes a conflict, after which the transaction is tried again.
            transact(self._client, [update, *writes])
        except ConditionsFailed as failed:
            if 0 in failed.positions:
                raise self._lost() from None
            raise CursorTaken(f"{self._network}: the event log already has batch {checkpoint.seq}") from None
        self._extend_term(now)

    def save(self, checkpoint: Checkpoint, progress: ChainProgress) -> None:
        """Save the checkpoint after blocks without events, or the `queued` mark. Renews the lease as well."""
        now = time.time()
        try:
            self._client.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=_UPDATE,
                ConditionExpression="fence = :f",
                ExpressionAttributeNames=_NAMES,
                ExpressionAttributeValues=self._values(checkpoint, progress),
            )
        except AwsError as error:
            if _code(error) == "ConditionalCheckFailedException":
                raise self._lost() from None
            raise
        self._extend_term(now)

    def save_sharding(self, sharding: str) -> None:
        """Save the encoded sharding state."""
        self._set("sharding", {"S": sharding})
        self.sharding = sharding

    def save_backfill_to(self, to: int) -> None:
        """Save the last block whose events are not delivered to clients, before the checkpoint is first saved."""
        self._set("backfill_to", {"N": str(to)})
        self.backfill_to = to

    def renew(self, progress: ChainProgress) -> None:
        """Extend the lease by a term."""
        now = time.time()
        self._update(
            "SET lease_until = :u, head = :head, block_time = :time",
            {":u": self._until(now), **_progress_values(progress)},
        )
        self._extend_term(now)

    def check_term(self) -> None:
        """Raise `LeaseLost` if the lease's term has passed by this machine's clock.

        It is called before actions that no fence guards, because the process may have been paused meanwhile.
        """
        if monotonic() > self._held_until:
            raise LeaseLost(f"{self._network}: the lease was not renewed in time; another listener may hold it")

    def release(self) -> None:
        """Release the lease, so that the next listener does not have to wait for its expiry."""
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

    def _values(self, checkpoint: Checkpoint, progress: ChainProgress) -> dict[str, AttributeValueTypeDef]:
        return {
            ":f": {"N": str(self._fence)},
            ":u": self._until(time.time()),
            ":seq": {"N": str(checkpoint.seq)},
            ":queued": {"N": str(checkpoint.queued)},
            ":block": {"N": str(checkpoint.block)},
            ":hash": {"S": checkpoint.block_hash or ""},
            **_progress_values(progress),
        }

    def _until(self, now: float) -> AttributeValueTypeDef:
        return {"N": f"{now + self._seconds:.3f}"}

    def _extend_term(self, asked_at: float) -> None:
        """Extend the term from the time of the request, not from that of the response."""
        self._held_until = monotonic() + self._seconds - (time.time() - asked_at)

    def _lost(self) -> LeaseLost:
        return LeaseLost(
            f"{self._network}: another listener has taken over the lease (fence {self._fence} is outdated)"
        )


_UPDATE = (
    "SET lease_until = :u, seq = :seq, queued = :queued, #b = :block, block_hash = :hash, head = :head, "
    "block_time = :time"
)
_NAMES = {"#b": "block"}


def _progress_values(progress: ChainProgress) -> dict[str, AttributeValueTypeDef]:
    return {":head": {"N": str(progress.head)}, ":time": {"N": str(progress.block_time)}}


def _code(error: AwsError) -> str:
    return error.response["Error"]["Code"]
