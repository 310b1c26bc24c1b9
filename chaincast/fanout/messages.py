"""Messages of the fan-out queue: deliver a batch, and hand shards over while the shard count changes.

SQS keeps order within a message group, `source#shard`. When the shard count changes, connections move to other groups,
and batches queued for them in the old groups must be delivered first. Therefore each old group ends with a
`ShardDrained` message, which its worker records, and each new group begins with an `AwaitDrained` message, which is
retried until all old groups are recorded as drained.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import TypeAlias, Union

import orjson

from chaincast.errors import CodecError
from chaincast.model.batches import Batch, decode_batch, encode_batch
from chaincast.model.sharding import ShardAssignment


@dataclass(frozen=True, slots=True)
class DeliverBatch:
    """Deliver a batch to the connections of a shard."""

    assignment: ShardAssignment
    batch: Batch


@dataclass(frozen=True, slots=True)
class ShardDrained:
    """The last message of a shard's group. Batches after `seq` are queued for other shards."""

    assignment: ShardAssignment
    source: str
    seq: int


@dataclass(frozen=True, slots=True)
class AwaitDrained:
    """The first message of a shard's group: wait until the `previous` groups are drained up to batch `seq`."""

    assignment: ShardAssignment
    source: str
    seq: int
    previous: int


FanoutMessage: TypeAlias = Union[DeliverBatch, ShardDrained, AwaitDrained]


def encode_message(message: FanoutMessage, encoded: bytes | None = None) -> str:
    """Return the body of a message. `encoded`: the batch of a `DeliverBatch` if the caller has encoded it already."""
    assignment = message.assignment
    document: dict[str, object] = {
        "shards": assignment.shards,
        "shard": assignment.shard,
        "readable": assignment.row_shard_counts,
    }
    match message:
        case DeliverBatch(batch=batch):
            document["deliver"] = b64encode(encoded or encode_batch(batch)).decode()
        case ShardDrained(source=source, seq=seq):
            document["close"] = {"source": source, "seq": seq}
        case AwaitDrained(source=source, seq=seq, previous=previous):
            document["open"] = {"source": source, "seq": seq, "former": previous}
    return orjson.dumps(document).decode()


def decode_message(body: str) -> FanoutMessage:
    """Return the message with this body. Raise `CodecError` if it is not valid."""
    try:
        document = orjson.loads(body)
        assignment = ShardAssignment(document["shards"], document["shard"], tuple(document["readable"]))
        if "deliver" in document:
            return DeliverBatch(assignment, decode_batch(b64decode(document["deliver"], validate=True)))
        if "close" in document:
            return ShardDrained(assignment, **document["close"])
        if "open" in document:
            fields = document["open"]
            return AwaitDrained(assignment, fields["source"], fields["seq"], fields["former"])
    except (Base64Error, ValueError, KeyError, TypeError) as error:
        raise CodecError(f"fan-out message {body[:100]!r}: not valid: {error}") from error
    raise CodecError(f"fan-out message {body[:100]!r}: must contain deliver, close or open")
