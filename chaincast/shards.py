"""Which fan-out worker serves a connection."""

from __future__ import annotations

from zlib import crc32


def shard_of(connection_id: str, shards: int) -> int:
    """The shard (0 … shards-1) of a connection; the same in every process and on every platform."""
    return crc32(connection_id.encode()) % shards if shards > 1 else 0


def partition(topic: str, shard: int) -> str:
    """The partition key of the Subscriptions table: one topic's connections of one shard."""
    return f"{topic}#{shard}"


def topic_of_partition(key: str) -> str:
    """The topic of a partition key."""
    return key.rpartition("#")[0]
