"""`chaincast redrive`: what waits in the dead-letter queues, and back with it where it came from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, TypeAlias

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local.stack.deployed import Deployed

Message: TypeAlias = dict[str, Any]  # as SQS gives it

QUEUES = {"fanout": ("FanoutDlq", "FanoutQueue"), "lifecycle": ("GatewayLifecycleDlq", "GatewayLifecycleQueue")}
"""Dead-letter queue and where its messages came from, by what they are called. (Kafka's poisoned messages have no way
back: what is wrong with them stands in them.)"""

VISIBILITY_SECONDS = 60
SHOWN = 20
WIDTH = 60


def run(options: argparse.Namespace) -> int:
    """Show what there is, or move it; 0 if nothing is left to look at."""
    deployed, console = Deployed.of(options), Console(highlight=False)
    left = 0
    for name in [options.queue] if options.queue else QUEUES:
        dead, source = (deployed.resource("AWS::SQS::Queue", part) for part in QUEUES[name])
        sqs = deployed.client("sqs")
        if options.move:
            console.print(f"{name}: {_move(sqs, dead, source)} messages moved back")
        else:
            left += _look(sqs, name, dead, console)
    if left:
        console.print("what was wrong is in the function's log; when it is mended:  chaincast redrive --move")
    return 1 if left else 0


def _look(sqs: Any, name: str, dead: str, console: Console) -> int:
    wanted = ["ApproximateNumberOfMessages"]
    attributes = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=wanted)["Attributes"]
    count = int(attributes["ApproximateNumberOfMessages"])
    if not count:
        console.print(f"{name}: nothing")
        return 0
    table = Table("sent (ms)", "group", "message", title=f"{name}: about {count} messages")
    messages = list(_take(sqs, dead, SHOWN))
    for message in messages:
        group = message["Attributes"].get("MessageGroupId", "")
        table.add_row(message["Attributes"]["SentTimestamp"], group, escape(message["Body"][:WIDTH]))
    for message in messages:  # they were only looked at
        sqs.change_message_visibility(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    console.print(table)
    return count


def _move(sqs: Any, dead: str, source: str) -> int:
    """Send each back, then take it away: who is interrupted between the two has it twice, which ids tell."""
    moved = 0
    for message in _take(sqs, dead, None):
        attributes = message["Attributes"]
        more = {}
        if "MessageGroupId" in attributes:
            again = f"{attributes['MessageDeduplicationId'][:100]}:{message['MessageId'][:20]}"
            more = {"MessageGroupId": attributes["MessageGroupId"], "MessageDeduplicationId": again}
        sqs.send_message(QueueUrl=source, MessageBody=message["Body"], **more)
        sqs.delete_message(QueueUrl=dead, ReceiptHandle=message["ReceiptHandle"])
        moved += 1
    return moved


def _take(sqs: Any, queue: str, limit: int | None) -> Iterator[Message]:
    """Messages in the order of each group, until there are none (or so many)."""
    taken = 0
    while limit is None or taken < limit:
        found = sqs.receive_message(
            QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=VISIBILITY_SECONDS, AttributeNames=["All"]
        ).get("Messages", [])
        if not found:
            return
        taken += len(found)
        yield from found
