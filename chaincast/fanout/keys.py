"""Key formats of the fan-out queue and of fan-out's items in the State table.

message group           source#shard
deduplication id        source:cursor:part:shard for a batch, source:cursor:close|open:shards.shard otherwise
progress of a group     key fanout/source#shard, sort progress
drained groups          key fanout/source, sort closed#cursor#shards.shard
"""

from __future__ import annotations

from typing import Literal

from chaincast.model.batches import Batch
from chaincast.model.cursors import format_cursor
from chaincast.model.sharding import ShardAssignment

PROGRESS_SORT_KEY = "progress"


def message_group(source: str, shard: int) -> str:
    """Return the message group of one shard of a source. SQS keeps the order of messages within a group."""
    return f"{source}#{shard}"


def batch_deduplication_id(batch: Batch, shard: int) -> str:
    """Return the deduplication id of a batch (or part of one) for one shard."""
    return f"{batch.source}:{batch.cursor}:{batch.part}:{shard}"


def resharding_deduplication_id(
    source: str, seq: int, action: Literal["close", "open"], assignment: ShardAssignment
) -> str:
    """Return the deduplication id of a message about a change of the shard count after batch `seq`."""
    return f"{source}:{format_cursor(seq)}:{action}:{assignment.shards}.{assignment.shard}"


def state_key(group_or_source: str) -> str:
    """Return the partition key in the State table of a message group's progress, or of a source's drained groups."""
    return f"fanout/{group_or_source}"


def drained_prefix(seq: int, shards: int) -> str:
    """Return the prefix of the sort keys of all groups of `shards` shards that are drained up to batch `seq`."""
    return f"closed#{format_cursor(seq)}#{shards}."


def drained_sort_key(seq: int, assignment: ShardAssignment) -> str:
    """Return the sort key of the item which says that a group is drained up to batch `seq`."""
    return drained_prefix(seq, assignment.shards) + str(assignment.shard)
