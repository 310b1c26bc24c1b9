"""`chaincast cost`: what a load costs a month, line by line; beside the usual way of doing it, and other services.

Counts of requests follow from the load and from what one thing takes (`Costs`), which benchmarks measured; prices are
in prices.toml. It is a model: free tiers, retries and mistakes are not in it.
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

from rich.console import Console
from rich.table import Table

Prices: TypeAlias = Mapping[str, Any]  # prices.toml

PRICES = Path(__file__).with_name("prices.toml")
MONTH_SECONDS = 730 * 3600
MILLION = 1e6
GB = 1e9


@dataclass(frozen=True, slots=True)
class Load:
    """What happens. `subscribers`: of an event; `batches`: blocks (and publications) a second that bring events;
    `bytes`: of an event as clients are told it; `lifetime`: of a connection, minutes."""

    connections: int = 1000
    events: float = 10.0
    subscribers: float = 100.0
    batches: float = 1.0
    bytes: int = 400
    lifetime: float = 30.0
    topics: float = 3.0
    networks: int = 1

    @property
    def deliveries(self) -> float:
        """Events that reach somebody, a second, each counted for each who gets it."""
        return self.events * self.subscribers

    @property
    def posts(self) -> float:
        """Messages a second: one for each connection that a batch brings something for, listeners spread evenly."""
        if not self.batches or not self.connections:
            return 0.0
        of_each = min(self.subscribers / self.connections, 1.0)
        nobody: float = (1 - of_each) ** (self.events / self.batches)
        return min(self.batches * self.connections * (1 - nobody), self.deliveries)


@dataclass(frozen=True, slots=True)
class Costs:
    """What one thing takes. Of fan-out: `benchmarks.fanout` and `benchmarks.posting`, over TLS on one core."""

    posts_per_second: float = 32_900.0
    boto3_posts_per_second: float = 760.0
    batch_ms: float = 12.0
    """Of a fan-out invocation, before and after its posts."""
    fanout_gb: float = 1.73
    function_gb: float = 1.0
    row_bytes: int = 110
    """Of a subscription, as Query reads it."""
    connect_ms: float = 35.0
    message_ms: float = 25.0
    disconnect_ms: float = 25.0
    greeting_ms: float = 30.0
    connect_writes: float = 4.0
    """The record and its index, the address, the count of who is open."""
    disconnect_writes: float = 4.0
    log_writes_per_kb: float = 2.0
    batch_writes: float = 3.0
    """The checkpoint in the Log's transaction, and the mark."""
    history_writes: float = 1.5
    """Of an event; not all are kept."""
    compression: float = 4.0
    log_bytes: int = 700
    """That an invocation logs."""
    pings_per_minute: float = 0.25


def tiered(amount: float, tiers: Sequence[Sequence[float]]) -> float:
    """The price of an amount: each tier [up to, price of one] in turn; up to 0: of all the rest."""
    total = done = 0.0
    for up_to, price in tiers:
        part = (min(amount, up_to) if up_to else amount) - done
        if part <= 0:
            break
        total += part * price
        done += part
    return total


def monthly(load: Load, prices: Prices, costs: Costs | None = None, *, usual: bool = False) -> dict[str, float]:
    """Dollars a month by line. `usual`: a post for each event and connection, by boto3, everything else alike."""
    costs = costs or Costs()
    gateway, functions, tables = prices["api_gateway"], prices["lambda"], prices["dynamodb"]
    posts = load.deliveries if usual else load.posts
    message_bytes = load.bytes if usual or not posts else load.bytes * load.deliveries / posts
    connects = load.connections / (load.lifetime * 60)
    said = load.connections * costs.pings_per_minute / 60 + connects
    units = math.ceil(message_bytes / gateway["message_bytes"])
    sent = posts * units + connects  # and a greeting each
    answered = said
    messages = (sent + answered + said) * MONTH_SECONDS / MILLION
    tiers = [[up_to / MILLION, price] for up_to, price in gateway["message_tiers"]]
    invocations = load.batches + said + 3 * connects
    per_post = 1 / (costs.boto3_posts_per_second if usual else costs.posts_per_second)
    gb_seconds = (posts * per_post + load.batches * costs.batch_ms / 1000) * costs.fanout_gb
    small = said * costs.message_ms + connects * (costs.connect_ms + costs.disconnect_ms + costs.greeting_ms)
    gb_seconds += small / 1000 * costs.function_gb
    batch_kb = load.events / load.batches * load.bytes / costs.compression / 1024 if load.batches else 0.0
    writes = connects * (costs.connect_writes + costs.disconnect_writes + 2 * (load.topics + 2)) + said
    writes += load.batches * (math.ceil(batch_kb) * costs.log_writes_per_kb + costs.batch_writes)
    writes += load.events * costs.history_writes
    read = load.deliveries if usual else min(load.deliveries, load.batches * load.connections)
    reads = read * costs.row_bytes / 4096 + load.batches
    stored = load.connections * (load.topics + 2) * costs.row_bytes / GB
    stored += load.events * load.bytes / costs.compression * 86_400 / GB + load.events * load.bytes * 7 * 86_400 / GB
    fargate, watch = prices["fargate"], prices["cloudwatch"]
    task_hour = 0.25 * fargate["vcpu_hour"] + 0.5 * fargate["gb_hour"] + fargate["address_hour"]
    month = MONTH_SECONDS / MILLION
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
        "CloudWatch": invocations * costs.log_bytes * MONTH_SECONDS / GB * watch["logs_gb"] + _watching(watch),
        "Secrets": 2 * prices["secrets"]["secret"],
        "Data transfer": tiered(posts * message_bytes * MONTH_SECONDS / GB, prices["transfer"]["gb_tiers"]),
    }


def _watching(watch: Mapping[str, float]) -> float:
    """Metrics, alarms, the dashboard."""
    return 40 * watch["metric"] + 45 * watch["alarm"] + watch["dashboard"]


def elsewhere(load: Load, prices: Prices, service: str) -> dict[str, float]:
    """The bare transport by another service of AWS's, by its published prices: `appsync_events` or `iot_core`."""
    of = prices[service]
    tiers, unit = of.get("operation_tiers") or of["message_tiers"], of.get("operation_bytes") or of["message_bytes"]
    units = math.ceil(load.bytes / unit)
    connects = load.connections / (load.lifetime * 60)
    messages = ((load.events + load.deliveries) * units + connects * (1 + load.topics)) * MONTH_SECONDS / MILLION
    return {
        "messages": tiered(messages, [[up_to / MILLION, price] for up_to, price in tiers]),
        "connection minutes": load.connections * 730 * 60 / MILLION * of["connection_minutes_m"],
        "data transfer": tiered(load.deliveries * load.bytes * MONTH_SECONDS / GB, prices["transfer"]["gb_tiers"]),
    }


def read_prices(path: Path = PRICES) -> Prices:
    """The price table."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def run(options: argparse.Namespace) -> int:
    """Print the bill."""
    load = Load(
        connections=options.connections,
        events=options.events_per_second,
        subscribers=options.subscribers_per_event,
        batches=min(options.batches_per_second, options.events_per_second),
        bytes=options.event_bytes,
        lifetime=options.connection_minutes,
        topics=options.topics,
        networks=options.networks,
    )
    prices = read_prices()
    ours, usual = monthly(load, prices), monthly(load, prices, usual=True)
    others = {name: elsewhere(load, prices, name) for name in ("appsync_events", "iot_core")}
    if options.json:
        sums = {"chaincast": sum(ours.values()), "usual": sum(usual.values())}
        sums |= {name: sum(lines.values()) for name, lines in others.items()}
        print(json.dumps({"date": prices["date"], "lines": ours, "usual": usual, **others, "sums": sums}))
        return 0
    _show(load, prices, ours, usual, others)
    return 0


def _show(
    load: Load,
    prices: Prices,
    ours: Mapping[str, float],
    usual: Mapping[str, float],
    others: Mapping[str, Mapping[str, float]],
) -> None:
    console = Console(highlight=False)
    table = Table("$ a month", "Chaincast", "usual way", caption=f"{prices['region']}, prices of {prices['date']}")
    for column in table.columns[1:]:
        column.justify = "right"
    for line, dollars in ours.items():
        table.add_row(line, f"{dollars:,.2f}", f"{usual[line]:,.2f}")
    table.add_section()
    table.add_row("sum", f"{sum(ours.values()):,.2f}", f"{sum(usual.values()):,.2f}", style="bold")
    console.print(table)
    console.print(
        f"{load.deliveries:,.0f} deliveries a second: Chaincast posts {load.posts:,.0f} messages, a block at a time."
    )
    console.print("Usual way: a post for each event and connection, by boto3; everything else alike.")
    for name, title in (("appsync_events", "AppSync Events"), ("iot_core", "IoT Core")):
        lines = ", ".join(f"{line} {dollars:,.2f}" for line, dollars in others[name].items())
        console.print(f"{title}, transport alone: {sum(others[name].values()):,.2f} ({lines})")
