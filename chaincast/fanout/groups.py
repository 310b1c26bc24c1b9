"""Divides the messages of one message group into steps that fan-out carries out one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from chaincast.aws.lambda_events import SqsRecord
from chaincast.errors import CodecError
from chaincast.fanout.messages import AwaitDrained, DeliverBatch, ShardDrained, decode_message
from chaincast.model.batches import Batch
from chaincast.model.sharding import ShardAssignment


@dataclass(frozen=True, slots=True)
class BatchRun:
    """Consecutive batches for the same shard assignment, which are delivered as one."""

    assignment: ShardAssignment
    records: list[SqsRecord]
    batches: list[Batch]

    @property
    def tries(self) -> int:
        """Number of times that SQS has delivered the batches, this time included."""
        return max(receive_count(record) for record in self.records)


@dataclass(frozen=True, slots=True)
class HandOver:
    """A message about a change of the shard count."""

    records: list[SqsRecord]
    message: ShardDrained | AwaitDrained


Step: TypeAlias = Union[BatchRun, HandOver]


@dataclass(slots=True)
class MessageGroup:
    """The steps of a message group, and the records from the first undecodable message on."""

    name: str
    steps: list[Step] = field(default_factory=list)
    undecodable: list[SqsRecord] = field(default_factory=list)
    error: str = ""
    retried: bool = False
    """True if SQS has delivered any of the messages before."""


def receive_count(record: SqsRecord) -> int:
    """Return the number of times that SQS has delivered a message."""
    return int(record["attributes"]["ApproximateReceiveCount"])


def group_records(records: Sequence[SqsRecord]) -> list[MessageGroup]:
    """Return the message groups of an invocation. `records`: messages as SQS delivers them, in order in each group."""
    by_name: dict[str, list[SqsRecord]] = {}
    for record in records:
        by_name.setdefault(record["attributes"]["MessageGroupId"], []).append(record)
    return [_group(name, members) for name, members in by_name.items()]


def _group(name: str, records: list[SqsRecord]) -> MessageGroup:
    group = MessageGroup(name, retried=any(receive_count(record) > 1 for record in records))
    for index, record in enumerate(records):
        try:
            message = decode_message(record["body"])
        except CodecError as error:
            group.undecodable, group.error = records[index:], str(error)
            break
        if not isinstance(message, DeliverBatch):
            group.steps.append(HandOver([record], message))
            continue
        last = group.steps[-1] if group.steps else None
        if isinstance(last, BatchRun) and last.assignment == message.assignment:
            last.records.append(record)
            last.batches.append(message.batch)
        else:
            group.steps.append(BatchRun(message.assignment, [record], [message.batch]))
    return group
