"""`chaincast redrive`: list the messages of the dead-letter queues, or send them back to their queue."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.stack.deployed_stack import DeployedStack
from local.terminal import Terminal

Message: TypeAlias = dict[str, Any]  # as SQS returns it

QUEUES = {"fanout": ("FanoutDlq", "FanoutQueue"), "lifecycle": ("GatewayLifecycleDlq", "GatewayLifecycleQueue")}
"""Name → beginnings of the logical ids of a dead-letter queue and of the queue that its messages came from.

Rejected Kafka messages cannot be sent back: each contains the reason why it was rejected.
"""

VISIBILITY_SECONDS = 60
MAX_LISTED = 20
BODY_WIDTH = 60


def run(options: argparse.Namespace) -> int:
    """List or move dead-letter messages. Return 1 if messages were listed, else 0. Raises `StepFailed`."""
    stack, console = DeployedStack.from_options(options), Terminal(highlight=False)
    listed = 0
    for name in [options.queue] if options.queue else QUEUES:
        dead_letters, source = (stack.resource("AWS::SQS::Queue", part) for part in QUEUES[name])
        sqs = stack.client("sqs")
        if options.move:
            console.print(f"{name}: {_move(sqs, dead_letters, source)} messages moved back")
        else:
            listed += _list(sqs, name, dead_letters, console)
    if listed:
        console.print("the function's log has the error; after you have fixed it, run  chaincast redrive --move")
    return 1 if listed else 0


def _list(sqs: Any, name: str, dead_letters: str, console: Console) -> int:
    """Print the first messages of a dead-letter queue. Return the approximate number of all messages."""
    names = ["ApproximateNumberOfMessages"]
    attributes = sqs.get_queue_attributes(QueueUrl=dead_letters, AttributeNames=names)["Attributes"]
    count = int(attributes["ApproximateNumberOfMessages"])
    if not count:
        console.print(f"{name}: no messages")
        return 0
    table = Table("sent (ms)", "group", "message", title=f"{name}: about {count} messages")
    messages = list(_receive(sqs, dead_letters, MAX_LISTED))
    for message in messages:
        group = message["Attributes"].get("MessageGroupId", "")
        table.add_row(message["Attributes"]["SentTimestamp"], group, escape(message["Body"][:BODY_WIDTH]))
    for message in messages:  # make them visible to other receivers again
        sqs.change_message_visibility(
            QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
        )
    console.print(table)
    return count


def _move(sqs: Any, dead_letters: str, source: str) -> int:
    """Send each message to its queue, then delete it. Return the number of messages.

    An interruption between send and delete leaves a duplicate; event ids make duplicates detectable.
    """
    moved = 0
    for message in _receive(sqs, dead_letters, None):
        attributes = message["Attributes"]
        fifo_arguments = {}
        if "MessageGroupId" in attributes:
            deduplication_id = f"{attributes['MessageDeduplicationId'][:100]}:{message['MessageId'][:20]}"
            fifo_arguments = {
                "MessageGroupId": attributes["MessageGroupId"],
                "MessageDeduplicationId": deduplication_id,
            }
        sqs.send_message(QueueUrl=source, MessageBody=message["Body"], **fifo_arguments)
        sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=message["ReceiptHandle"])
        moved += 1
    return moved


def _receive(sqs: Any, queue: str, limit: int | None) -> Iterator[Message]:
    """Yield messages, those of a group in order, until the queue is empty or about `limit` have been received."""
    received = 0
    while limit is None or received < limit:
        messages = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=VISIBILITY_SECONDS, AttributeNames=["All"]
        ).get("Messages", [])
        if not messages:
            return
        received += len(messages)
        yield from messages
