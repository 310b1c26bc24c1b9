"""What the messages of the fan-out queue say: deliver a batch; and, while the number of shards changes, close and open.

Order holds within a message group, `source#shard`. When S changes, connections move to other groups, and what is queued
for them in the old ones must be delivered first: every old group ends with a `Close`, which its worker puts on record,
and every new group begins with an `Open`, which waits until all old ones are on record.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from typing import TypeAlias, Union

import orjson

from chaincast.errors import CodecError
from chaincast.model.batches import Batch, decode_batch, encode_batch
from chaincast.model.sharding import Worker


@dataclass(frozen=True, slots=True)
class Deliver:
    """Deliver a batch to the connections of a worker."""

    worker: Worker
    batch: Batch


@dataclass(frozen=True, slots=True)
class Close:
    """The last message of a worker's group: what comes after batch `seq` is queued for other shards."""

    worker: Worker
    source: str
    seq: int


@dataclass(frozen=True, slots=True)
class Open:
    """The first message of a worker's group: wait until the `former` groups are closed behind batch `seq`."""

    worker: Worker
    source: str
    seq: int
    former: int


Work: TypeAlias = Union[Deliver, Close, Open]


def group_of(source: str, shard: int) -> str:
    """The message group of one worker of a source."""
    return f"{source}#{shard}"


def encode_work(work: Work, encoded: bytes | None = None) -> str:
    """The work as a message body; `encoded`: the batch of a `Deliver`, where it goes to several workers."""
    worker = work.worker
    document: dict[str, object] = {"shards": worker.shards, "shard": worker.shard, "readable": worker.readable}
    match work:
        case Deliver(batch=batch):
            document["deliver"] = b64encode(encoded or encode_batch(batch)).decode()
        case Close(source=source, seq=seq):
            document["close"] = {"source": source, "seq": seq}
        case Open(source=source, seq=seq, former=former):
            document["open"] = {"source": source, "seq": seq, "former": former}
    return orjson.dumps(document).decode()


def decode_work(body: str) -> Work:
    """The work of a message body. Raises `CodecError`."""
    try:
        document = orjson.loads(body)
        worker = Worker(document["shards"], document["shard"], tuple(document["readable"]))
        if "deliver" in document:
            return Deliver(worker, decode_batch(b64decode(document["deliver"], validate=True)))
        if "close" in document:
            return Close(worker, **document["close"])
        if "open" in document:
            return Open(worker, **document["open"])
    except (Base64Error, ValueError, KeyError, TypeError) as error:
        raise CodecError(f"not a fan-out message: {error}") from error
    raise CodecError("not a fan-out message: it says neither deliver nor close nor open")
