"""The stack of the chaos test, and an administrator's access to it that is exempt from faults."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from botocore.config import Config

from chaincast.config.network import url_variable
from chaincast.eventlog.checkpoint import newest, read_listener_status
from chaincast.metrics.counters import total
from chaincast.model.cursors import format_cursor
from chaincast.model.holds import PASSED
from chaincast.sessions.open_connections import OpenConnectionCounter
from local.stack.administrator import session
from local.stack.local_stack import LocalStack
from tests.chaos.emulator_names import ADMINISTRATOR

Item: TypeAlias = dict[str, Any]  # a DynamoDB item with its type tags
POISON = "poison"


@dataclass(slots=True)
class ChaosStack(LocalStack):
    """A local stack whose listener uses another URL for its node."""

    node_url: str = ""

    def listener_environment(self) -> dict[str, str]:
        """Return the environment of a listener, with the other URL."""
        return {**LocalStack.listener_environment(self), url_variable(self.options.network): self.node_url}


class World:
    """The stack as its administrator sees and changes it. None of these calls is subject to faults."""

    def __init__(self, stack: ChaosStack, odds: Path) -> None:
        self.stack = stack
        self._odds = odds
        config = Config(user_agent_extra=ADMINISTRATOR, read_timeout=290)
        administrator: Any = session()  # untyped, because the services are variables
        self._clients = {
            name: administrator.client(name, endpoint_url=stack.emulator.endpoint, config=config)
            for name in ("dynamodb", "sqs", "lambda")
        }
        functions = self._clients["lambda"].list_functions()["Functions"]
        self._functions = {f["FunctionName"].removeprefix("Chaincast-"): f for f in functions}

    def set_odds(self, odds: dict[str, float]) -> None:
        """Set the probability of each fault, by name."""
        self._odds.write_text(json.dumps(odds))

    def faults(self) -> Counter[str]:
        """Return the number of faults so far, by name."""
        return Counter(re.findall(r"CHAOS ([a-z-]+)", self.stack.emulator.log.read_text(errors="replace")))

    def indexed(self, block: int) -> bool:
        """Return True if the listener has written this block, which has events."""
        written = read_listener_status(self._clients["dynamodb"], self.table("STATE"), self.stack.options.network).block
        return written is not None and written >= block

    def newest_cursors(self) -> dict[str, str]:
        """Return the newest cursor of every source."""
        return {
            source: format_cursor(newest(self._clients["dynamodb"], self.table("STATE"), source))
            for source in (self.stack.options.network, "app-0")
        }

    def shorten_visibility(self) -> None:
        """Shorten the visibility timeouts of the queues, so that messages of killed functions are retried sooner."""
        for name, seconds in (("FANOUT", 25), ("LIFECYCLE", 20)):
            url = self._variable("HttpStatus", f"CHAINCAST_{name}_QUEUE_URL")
            self._clients["sqs"].set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})

    def send_poison_message(self) -> None:
        """Send a job that cannot be decoded, which must end in the dead-letter queue."""
        url = self._variable("GatewayLifecycle", "CHAINCAST_LIFECYCLE_QUEUE_URL")
        self._clients["sqs"].send_message(QueueUrl=url, MessageBody=POISON)

    def dead_letters(self) -> dict[str, int]:
        """Return the number of messages in each dead-letter queue."""
        counts = {}
        for name in ("FANOUT", "LIFECYCLE"):
            url = self._variable("HttpStatus", f"CHAINCAST_{name}_DLQ_URL")
            names = ["ApproximateNumberOfMessages"]
            attributes = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            counts[name.lower()] = int(attributes["ApproximateNumberOfMessages"])
        return counts

    def unexpected_dead_letters(self) -> list[str]:
        """Return bodies of messages in the dead-letter queues, except the poison message."""
        bodies: list[str] = []
        for name in ("FANOUT", "LIFECYCLE"):
            url = self._variable("HttpStatus", f"CHAINCAST_{name}_DLQ_URL")
            answer = self._clients["sqs"].receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
            bodies += [message["Body"][:500] for message in answer.get("Messages", [])]
        return [body for body in bodies if body != POISON]

    def heartbeat(self) -> dict[str, int]:
        """Make every connection look old and idle, and run the heartbeat, which then checks all. Return its counts."""
        client = self._clients["dynamodb"]
        for connection in self.connections():
            with suppress(client.exceptions.ConditionalCheckFailedException):  # it was removed meanwhile
                client.update_item(
                    TableName=self.table("CONNECTIONS"),
                    Key={"connection_id": {"S": connection}},
                    UpdateExpression="SET seen = :long_ago, connected_at = :long_ago",
                    ConditionExpression="attribute_exists(connection_id)",
                    ExpressionAttributeValues={":long_ago": {"N": "1"}},
                )
        (name,) = [f["FunctionName"] for n, f in self._functions.items() if n.startswith("GatewayHeartbeat")]
        counts: dict[str, int] = json.loads(self._clients["lambda"].invoke(FunctionName=name)["Payload"].read())
        return counts

    def connections(self) -> set[str]:
        """Return the ids of all connection records."""
        return {item["connection_id"]["S"] for item in self._items("CONNECTIONS")}

    def subscriptions(self) -> dict[str, Counter[str]]:
        """Return the number of items in table Subscriptions, by connection and kind (`rows`, `index`, `holds`)."""
        counts: dict[str, Counter[str]] = {}
        for item in self._items("SUBSCRIPTIONS"):
            partition = item["topic_shard"]["S"].partition("/")[0]
            if item["connection_id"]["S"] == PASSED:  # of no connection
                continue
            kind = {"connection": "index", "resuming": "holds"}.get(partition, "rows")
            counts.setdefault(item["connection_id"]["S"], Counter())[kind] += 1
        return counts

    def counted(self) -> tuple[int, int]:
        """Return the numbers of connections and subscriptions that `/metrics` would report."""
        counts = OpenConnectionCounter(self._clients["dynamodb"], self.table("STATE")).read(int(time.time() * 1000))
        return total(counts, "Connections"), total(counts, "Subscriptions")

    def table(self, name: str) -> str:
        """Return the name of a table, e.g. of "STATE"."""
        return self._variable("HttpStatus", f"CHAINCAST_{name}_TABLE")

    def _items(self, name: str) -> list[Item]:
        pages = (
            self._clients["dynamodb"].get_paginator("scan").paginate(TableName=self.table(name), ConsistentRead=True)
        )
        return [item for page in pages for item in page["Items"]]

    def _variable(self, part: str, name: str) -> str:
        (function,) = [f for n, f in self._functions.items() if n.startswith(part)]
        return str(function["Environment"]["Variables"][name])
