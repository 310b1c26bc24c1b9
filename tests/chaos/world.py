"""The stack that chaos is made on, and what its administrator can see and do there while everybody else suffers."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from botocore.config import Config

from chaincast.config.network import url_variable
from chaincast.eventlog.checkpoint import newest, read_listener_status
from chaincast.metrics.counters import total
from chaincast.model.cursors import format_cursor
from chaincast.sessions.open_counts import Population
from local.stack.administrator import session
from local.stack.local_stack import LocalStack
from tests.chaos.emulator_names import CONDUCTOR

Item: TypeAlias = dict[str, Any]  # a DynamoDB item with its type tags


@dataclass(slots=True)
class ChaosStack(LocalStack):
    """A local stack whose listener reaches its node through another endpoint."""

    node_url: str = ""

    def listener_environment(self) -> dict[str, str]:
        return {**LocalStack.listener_environment(self), url_variable(self.options.network): self.node_url}


class World:
    """What the administrator does: nothing of it fails."""

    def __init__(self, stack: ChaosStack, odds: Path) -> None:
        self.stack = stack
        self._odds = odds
        config = Config(user_agent_extra=CONDUCTOR, read_timeout=290)
        made: Any = session()  # the services by name, all of them
        self._clients = {
            name: made.client(name, endpoint_url=stack.emulator.endpoint, config=config)
            for name in ("dynamodb", "sqs", "lambda")
        }
        functions = self._clients["lambda"].list_functions()["Functions"]
        self._functions = {f["FunctionName"].removeprefix("Chaincast-"): f for f in functions}

    def set_odds(self, odds: dict[str, float]) -> None:
        """How likely each fault is from now on."""
        self._odds.write_text(json.dumps(odds))

    def faults(self) -> Counter[str]:
        """The faults so far, by name."""
        return Counter(re.findall(r"CHAOS ([a-z-]+)", self.stack.emulator.log.read_text(errors="replace")))

    def indexed(self, block: int) -> bool:
        """Whether the listener has written this block, which has events."""
        found = read_listener_status(self._clients["dynamodb"], self.table("STATE"), self.stack.options.network).block
        return found is not None and found >= block

    def newest_cursors(self) -> dict[str, str]:
        """Where every source is."""
        found = {}
        for source in (self.stack.options.network, "app-0"):
            found[source] = format_cursor(newest(self._clients["dynamodb"], self.table("STATE"), source))
        return found

    def hurry(self) -> None:
        """What a killed function had in its hands comes again sooner than after the queues' two minutes and one."""
        for name, seconds in (("FANOUT", 25), ("LIFECYCLE", 20)):
            url = self._variable("HttpStatus", f"CHAINCAST_{name}_QUEUE_URL")
            self._clients["sqs"].set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})

    def poison(self) -> None:
        """A job that nobody can do: it belongs into the dead-letter queue."""
        url = self._variable("GatewayLifecycle", "CHAINCAST_LIFECYCLE_QUEUE_URL")
        self._clients["sqs"].send_message(QueueUrl=url, MessageBody="poison")

    def dead_letters(self) -> dict[str, int]:
        """How many messages each dead-letter queue holds."""
        found = {}
        for name in ("FANOUT", "LIFECYCLE"):
            url = self._variable("HttpStatus", f"CHAINCAST_{name}_DLQ_URL")
            wanted = ["ApproximateNumberOfMessages"]
            attributes = self._clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=wanted)["Attributes"]
            found[name.lower()] = int(attributes["ApproximateNumberOfMessages"])
        return found

    def heartbeat(self) -> dict[str, int]:
        """Make every connection look quiet, and let the heartbeat ask after them all."""
        for connection in self.connections():
            self._clients["dynamodb"].update_item(
                TableName=self.table("CONNECTIONS"),
                Key={"connection_id": {"S": connection}},
                UpdateExpression="SET seen = :long_ago",
                ConditionExpression="attribute_exists(connection_id)",
                ExpressionAttributeValues={":long_ago": {"N": "1"}},
            )
        (name,) = [f["FunctionName"] for n, f in self._functions.items() if n.startswith("GatewayHeartbeat")]
        answer: dict[str, int] = json.loads(self._clients["lambda"].invoke(FunctionName=name)["Payload"].read())
        return answer

    def connections(self) -> set[str]:
        """Those on record."""
        return {item["connection_id"]["S"] for item in self._items("CONNECTIONS")}

    def subscriptions(self) -> dict[str, Counter[str]]:
        """What the Subscriptions table holds of each connection: `rows` of topics, `index` items, `holds`."""
        found: dict[str, Counter[str]] = {}
        for item in self._items("SUBSCRIPTIONS"):
            partition = item["topic_shard"]["S"].partition("/")[0]
            kind = {"connection": "index", "resuming": "holds"}.get(partition, "rows")
            found.setdefault(item["connection_id"]["S"], Counter())[kind] += 1
        return found

    def counted(self) -> tuple[int, int]:
        """Connections and subscriptions, as `/metrics` would tell them."""
        found = Population(self._clients["dynamodb"], self.table("STATE")).read(int(time.time() * 1000))
        return total(found, "Connections"), total(found, "Subscriptions")

    def table(self, name: str) -> str:
        return self._variable("HttpStatus", f"CHAINCAST_{name}_TABLE")

    def _items(self, name: str) -> list[Item]:
        pages = (
            self._clients["dynamodb"].get_paginator("scan").paginate(TableName=self.table(name), ConsistentRead=True)
        )
        return [item for page in pages for item in page["Items"]]

    def _variable(self, part: str, name: str) -> str:
        (function,) = [f for n, f in self._functions.items() if n.startswith(part)]
        return str(function["Environment"]["Variables"][name])
