"""`chaincast cost`: estimate the monthly AWS bill of a load, and compare it with other ways to deliver the same events.

The numbers of requests follow from the load and from the resources that one operation takes (`Costs`), which the
benchmarks measured. Prices are in prices.toml. The model leaves out free tiers and retries.
"""

from __future__ import annotations

import argparse
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rich.table import Table

from local.terminal import Terminal

Prices: TypeAlias = Mapping[str, Any]  # prices.toml

PRICES = Path(__file__).with_name("prices.toml")
MONTH_SECONDS = 730 * 3600
MILLION = 1e6
GB = 1e9


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a stack, on average."""

    connections: int = 1000
    """Number of concurrent connections."""
    events: float = 10.0
    """Events per second, of all topics."""
    subscribers: float = 100.0
    """Connections that receive each event."""
    batches: float = 1.0
    """Blocks with events (or publish requests) per second."""
    bytes: int = 400
    """Encoded size of an event, in bytes."""
    lifetime: float = 30.0
    """Lifetime of a connection, in minutes."""
    topics: float = 3.0
    """Subscriptions of a connection."""
    networks: int = 1
    """Number of networks with a listener."""

    @property
    def deliveries(self) -> float:
        """Deliveries per second: events, each counted once for every subscriber."""
        return self.events * self.subscribers

    @property
    def posts(self) -> float:
        """Messages per second to clients: one for each connection that a batch has an event for.

        The estimate assumes that subscribers are distributed evenly over connections.
        """
        if not self.batches or not self.connections:
            return 0.0
        chance = min(self.subscribers / self.connections, 1.0)  # that a connection receives a given event
        no_event: float = (1 - chance) ** (self.events / self.batches)  # chance that it receives none of a batch
        return min(self.batches * self.connections * (1 - no_event), self.deliveries)


@dataclass(frozen=True, slots=True)
class Costs:
    """Resources that one operation takes. `benchmarks.fanout` and `benchmarks.posting` measure those of fan-out."""

    posts_per_second: float = 32_900.0
    """Posts per second of one fan-out function, over TLS on one core."""
    boto3_posts_per_second: float = 760.0
    """Posts per second of one function that uses boto3."""
    batch_ms: float = 12.0
    """Milliseconds of a fan-out invocation before and after its posts."""
    fanout_gb: float = 1.73
    """Memory of the fan-out function, in GB."""
    function_gb: float = 1.0
    """Memory of each other function, in GB."""
    row_bytes: int = 110
    """Bytes of a subscription that a Query is charged for."""
    connect_ms: float = 35.0
    message_ms: float = 25.0
    disconnect_ms: float = 25.0
    greeting_ms: float = 30.0
    connect_writes: float = 4.0
    """Write units of a new connection: the record and its index, the address, the count of open connections."""
    disconnect_writes: float = 4.0
    """Write units of a closed connection."""
    log_writes_per_kb: float = 2.0
    """Write units for each KB of a batch in the event log: transactions cost twice."""
    batch_writes: float = 3.0
    """Further write units of a batch: the checkpoint in the same transaction, and the mark that it was queued."""
    history_writes: float = 1.5
    """Write units of an event in table History, which does not store all kinds."""
    compression: float = 4.0
    """Factor by which compression makes a batch smaller."""
    log_bytes: int = 700
    """Bytes that an invocation writes to CloudWatch Logs."""
    pings_per_minute: float = 0.25
    """Pings that a client sends."""


def tiered(amount: float, tiers: Sequence[Sequence[float]]) -> float:
    """Return the price of an amount. A tier is [upper limit, price of one unit]; limit 0 means no limit."""
    total = priced = 0.0
    for limit, price in tiers:
        part = (min(amount, limit) if limit else amount) - priced
        if part <= 0:
            break
        total += part * price
        priced += part
    return total


def monthly(load: Load, prices: Prices, costs: Costs | None = None, *, unbatched: bool = False) -> dict[str, float]:
    """Return US dollars per month, by line of the bill.

    With `unbatched`, the bill of the usual design: one post by boto3 for each event and connection, all else equal.
    """
    costs = costs or Costs()
    gateway, functions, tables = prices["api_gateway"], prices["lambda"], prices["dynamodb"]
    posts = load.deliveries if unbatched else load.posts
    message_bytes = load.bytes if unbatched or not posts else load.bytes * load.deliveries / posts
    connects = load.connections / (load.lifetime * 60)
    received = load.connections * costs.pings_per_minute / 60 + connects  # pings, and a subscribe message each
    replies = received
    units = math.ceil(message_bytes / gateway["message_bytes"])
    sent = posts * units + connects  # events, and a greeting for each connection
    messages = (sent + replies + received) * MONTH_SECONDS / MILLION
    tiers = [[limit / MILLION, price] for limit, price in gateway["message_tiers"]]
    invocations = load.batches + received + 3 * connects
    seconds_per_post = 1 / (costs.boto3_posts_per_second if unbatched else costs.posts_per_second)
    gb_seconds = (posts * seconds_per_post + load.batches * costs.batch_ms / 1000) * costs.fanout_gb
    other_ms = received * costs.message_ms + connects * (costs.connect_ms + costs.disconnect_ms + costs.greeting_ms)
    gb_seconds += other_ms / 1000 * costs.function_gb
    batch_kb = load.events / load.batches * load.bytes / costs.compression / 1024 if load.batches else 0.0
    writes = connects * (costs.connect_writes + costs.disconnect_writes + 2 * (load.topics + 2)) + received
    writes += load.batches * (math.ceil(batch_kb) * costs.log_writes_per_kb + costs.batch_writes)
    writes += load.events * costs.history_writes
    rows_read = load.deliveries if unbatched else min(load.deliveries, load.batches * load.connections)
    reads = rows_read * costs.row_bytes / 4096 + load.batches
    stored = load.connections * (load.topics + 2) * costs.row_bytes / GB
    stored += load.events * load.bytes / costs.compression * 86_400 / GB + load.events * load.bytes * 7 * 86_400 / GB
    fargate, cloudwatch = prices["fargate"], prices["cloudwatch"]
    task_hour = 0.25 * fargate["vcpu_hour"] + 0.5 * fargate["gb_hour"] + fargate["address_hour"]
    month = MONTH_SECONDS / MILLION
    logged = invocations * costs.log_bytes * MONTH_SECONDS / GB
    return {
        "API Gateway: messages": tiered(messages, tiers),
        "API Gateway: connection minutes": load.connections * 730 * 60 / MILLION * gateway["connection_minutes_m"],
        "Lambda: requests": invocations * month * functions["requests_m"],
        "Lambda: time": gb_seconds * MONTH_SECONDS * functions["gb_second"],
        "DynamoDB: writes": writes * month * tables["writes_m"],
        "DynamoDB: reads": reads * month * tables["reads_m"],
        "DynamoDB: storage": stored * (tables["storage_gb"] + tables["recovery_gb"]),
        "SQS": month * (3 * load.batches * prices["sqs"]["fifo_m"] + 3 * connects * prices["sqs"]["standard_m"]),
        "Fargate": load.networks * 730 * task_hour,
        "CloudWatch": logged * cloudwatch["logs_gb"] + _observability(cloudwatch),
        "Secrets": 2 * prices["secrets"]["secret"],
        "Data transfer": tiered(posts * message_bytes * MONTH_SECONDS / GB, prices["transfer"]["gb_tiers"]),
    }


def _observability(prices: Mapping[str, float]) -> float:
    """Return the price of the stack's metrics, alarms and dashboard."""
    return 40 * prices["metric"] + 45 * prices["alarm"] + prices["dashboard"]


def other_service(load: Load, prices: Prices, service: str) -> dict[str, float]:
    """Return US dollars per month for the transport of the same events by `appsync_events` or `iot_core`."""
    rates = prices[service]
    tiers = rates.get("operation_tiers") or rates["message_tiers"]
    unit = rates.get("operation_bytes") or rates["message_bytes"]
    units = math.ceil(load.bytes / unit)
    connects = load.connections / (load.lifetime * 60)
    messages = ((load.events + load.deliveries) * units + connects * (1 + load.topics)) * MONTH_SECONDS / MILLION
    return {
        "messages": tiered(messages, [[limit / MILLION, price] for limit, price in tiers]),
        "connection minutes": load.connections * 730 * 60 / MILLION * rates["connection_minutes_m"],
        "data transfer": tiered(load.deliveries * load.bytes * MONTH_SECONDS / GB, prices["transfer"]["gb_tiers"]),
    }


def read_prices(path: Path = PRICES) -> Prices:
    """Return the price table."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def run(options: argparse.Namespace) -> int:
    """Print the bill and the comparison. Return 0."""
    load = Load(
        connections=options.connections,
        events=options.events_per_second,
        subscribers=options.subscribers_per_event,
        batches=min(options.batches_per_second, options.events_per_second),
        bytes=options.event_bytes,
        lifetime=options.connection_minutes,
        topics=options.topics_per_connection,
        networks=options.networks,
    )
    prices = read_prices()
    chaincast, unbatched = monthly(load, prices), monthly(load, prices, unbatched=True)
    others = {name: other_service(load, prices, name) for name in ("appsync_events", "iot_core")}
    if options.json:
        bills = {"chaincast": chaincast, "unbatched": unbatched, **others}
        sums = {name: sum(lines.values()) for name, lines in bills.items()}
        print(json.dumps({"date": prices["date"], **bills, "sums": sums}))
        return 0
    _show(load, prices, chaincast, unbatched, others)
    return 0


def _show(
    load: Load,
    prices: Prices,
    chaincast: Mapping[str, float],
    unbatched: Mapping[str, float],
    others: Mapping[str, Mapping[str, float]],
) -> None:
    console = Terminal(highlight=False)
    table = Table("$ per month", "Chaincast", "unbatched", caption=f"{prices['region']}, prices of {prices['date']}")
    for column in table.columns[1:]:
        column.justify = "right"
    for line, dollars in chaincast.items():
        table.add_row(line, f"{dollars:,.2f}", f"{unbatched[line]:,.2f}")
    table.add_section()
    table.add_row("sum", f"{sum(chaincast.values()):,.2f}", f"{sum(unbatched.values()):,.2f}", style="bold")
    console.print(table)
    console.print(
        f"{load.deliveries:,.0f} deliveries per second. Chaincast sends all events of a batch to a connection in one "
        f"message: {load.posts:,.0f} messages per second."
    )
    console.print("Unbatched: one message for each event and connection, sent by boto3; all else equal.")
    for name, title in (("appsync_events", "AppSync Events"), ("iot_core", "IoT Core")):
        lines = ", ".join(f"{line} {dollars:,.2f}" for line, dollars in others[name].items())
        console.print(f"{title}, transport only: {sum(others[name].values()):,.2f} ({lines})")
