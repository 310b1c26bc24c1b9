"""`chaincast load`: connect many clients to a stack, and measure what they receive and how late."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from chaincast.publish import Item, Publisher, PublishError
from local.commands.fleet import Fleet, Tally
from local.errors import StepFailed
from local.stack.checkout import REGION
from local.stack.deployment import local_http_url, local_websocket_url
from local.terminal import Terminal

Row: TypeAlias = dict[str, Any]  # the results of one measurement, as --json prints them

SYMBOLS = 10
SETTLE_SECONDS = 5.0
"""Maximum seconds to wait for outstanding deliveries after a measurement."""

GRACE_SECONDS = 3.0
"""Seconds after the last client connected during which new events are ignored. Events sent before have arrived then."""

STEP_SECONDS = 10.0
"""Length of one step of `--ramp-to`."""
GROWTH = 1.5
"""Factor by which the number of clients grows from step to step."""
PUBLISH_SECONDS = 120.0
"""Time limit of a publication: a stack that is too slow is a result of the measurement, not an error."""
MIN_SHARE = 0.999
"""A step fails if a smaller share of the expected events is delivered."""
MAX_P99_MS = 1000.0
"""A step fails if the 99th percentile of latency is higher, in milliseconds."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A measurement to run. `rate`: events to publish per second, spread over the topics; 0 to publish none."""

    url: str
    topics: tuple[str, ...]
    rate: float
    connect_rate: float
    publisher: Publisher | None


def run(options: argparse.Namespace) -> int:
    """Measure and print a table. Return 0 if all events were delivered (with `--ramp-to`: if a step passed)."""
    console = Terminal(stderr=options.json, highlight=False)
    plan = _plan(options)
    if options.ramp_to:
        rows = asyncio.run(_ramp(plan, options.clients, options.ramp_to, console))
        passed = [row for row in rows if row["passed"]]
        _show(console, rows, options.json, "capacity: the last step that passed" if passed else "no step passed")
        return 0 if passed else 1
    row = asyncio.run(_load(plan, options.clients, options.duration, console))
    _show(console, [row], options.json, "")
    return 0 if row["delivered_share"] == 1.0 and not row["refused"] and not row["lost"] else 1


def _plan(options: argparse.Namespace) -> Plan:
    url = options.url or local_websocket_url(options.port)
    topics = tuple(t for given in options.topics or () for t in given.split(","))
    topics = topics or tuple(f"trade:LOAD{n}" for n in range(SYMBOLS))
    publisher = None
    if options.rate:
        # Publish trades, because a client gets only the last of several prices in one batch.
        other = [topic for topic in topics if not topic.startswith("trade:") or topic.endswith("*")]
        if other:
            raise StepFailed(
                "load", f"topic {other[0]!r}: events are published to topics trade:SYMBOL", "other topics need --rate 0"
            )
        publisher = _publisher(options)
    return Plan(url, topics, options.rate, options.connect_rate, publisher)


def _publisher(options: argparse.Namespace) -> Publisher:
    """Return a publisher with the AWS credentials of the environment, or with any for the local stack."""
    if options.http_url:
        return Publisher(options.http_url, timeout=PUBLISH_SECONDS)
    if options.url:
        advice = "add --http-url (the stack's output HttpUrl), or publish nothing with --rate 0"
        raise StepFailed("load", "--url without --http-url: the URL to publish to is unknown", advice)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "test"
    return Publisher(local_http_url(options.port), region=REGION, timeout=PUBLISH_SECONDS)


async def _load(plan: Plan, clients: int, seconds: float, console: Console) -> Row:
    fleet = _fleet(plan)
    try:
        with _progress(console) as progress:
            await _grow(fleet, plan, clients, progress)
            await fleet.ignore_new_events(GRACE_SECONDS)
            running = progress.add_task("running", total=round(seconds))
            began = time.monotonic()
            await _run(fleet, plan, seconds, lambda passed: progress.update(running, completed=round(passed)))
            duration = time.monotonic() - began
        return summarize(fleet.tally, duration)
    finally:
        await fleet.close()


async def _ramp(plan: Plan, first: int, last: int, console: Console) -> list[Row]:
    """Measure with more clients in each step, until a step fails or `last` clients are connected."""
    rows: list[Row] = []
    fleet, size = _fleet(plan), first
    try:
        with _progress(console) as progress:
            while True:
                refused = fleet.tally.refused.total()
                await _grow(fleet, plan, size, progress)
                await fleet.ignore_new_events(GRACE_SECONDS)
                began, before = time.monotonic(), fleet.tally
                fleet.tally = Tally(connected=fleet.size, refused=before.refused, lost=before.lost)
                await _run(fleet, plan, STEP_SECONDS, lambda passed: None)
                row = summarize(fleet.tally, time.monotonic() - began)
                missing = fleet.tally.refused.total() - refused + fleet.tally.lost - before.lost
                row["passed"] = row["delivered_share"] >= MIN_SHARE and row["p99_ms"] <= MAX_P99_MS and not missing
                rows.append(row)
                if not row["passed"] or size >= last:
                    return rows
                size = min(round(size * GROWTH), last)
    finally:
        await fleet.close()


def _fleet(plan: Plan) -> Fleet:
    return Fleet(plan.url, lambda number: (plan.topics[number % len(plan.topics)],))


async def _grow(fleet: Fleet, plan: Plan, size: int, progress: Progress) -> None:
    connecting = progress.add_task(f"{size} clients", total=size - fleet.size)
    await fleet.grow(size, plan.connect_rate, lambda: progress.advance(connecting))


async def _run(fleet: Fleet, plan: Plan, seconds: float, on_progress: Callable[[float], object]) -> None:
    """Publish (if the plan says so) for `seconds`, then wait for outstanding deliveries."""
    began, sent = time.monotonic(), 0
    publishing: set[asyncio.Task[None]] = set()
    while (passed := time.monotonic() - began) < seconds:
        on_progress(passed)
        while plan.publisher is not None and sent < passed * plan.rate:
            task = asyncio.create_task(_publish(fleet, plan.publisher, plan.topics[sent % len(plan.topics)], sent))
            publishing.add(task)
            sent += 1
        done = {task for task in publishing if task.done()}
        for task in done:
            task.result()
        publishing -= done
        await asyncio.sleep(min(0.1, 0.5 / plan.rate) if plan.rate else 0.1)
    await asyncio.gather(*publishing)
    await fleet.wait_complete(SETTLE_SECONDS)
    fleet.count_undelivered()
    on_progress(seconds)


def trade(symbol: str, amount: float) -> Item:
    """Return a trade to publish. A different amount makes it a different event."""
    return {"kind": "trade", "symbol": symbol, "data": {"price": 1.0, "amount": amount, "side": "buy"}}


async def _publish(fleet: Fleet, publisher: Publisher, topic: str, number: int) -> None:
    item = trade(topic.removeprefix("trade:"), number + 1.0)
    fleet.expect(topic)
    try:
        refused = await asyncio.to_thread(publisher.publish, item)
    except PublishError as error:
        raise StepFailed("publish", str(error), "see docs/publishing.md for the permissions that it needs") from None
    if refused:
        raise StepFailed("publish", f"{refused[0].code}: {refused[0].message}", "choose other topics with --topics")


def summarize(tally: Tally, seconds: float) -> Row:
    """Return the results of a measurement of `seconds`."""
    latencies = sorted(tally.latencies)

    def quantile(share: float) -> float:
        return round(latencies[min(int(len(latencies) * share), len(latencies) - 1)], 1) if latencies else 0.0

    return {
        "connected": tally.connected,
        "refused": dict(tally.refused),
        "lost": tally.lost,
        "events": tally.events,
        "expected": tally.expected,
        "delivered": tally.delivered,
        "delivered_share": tally.share,
        "duplicates": tally.duplicates,
        "sent": tally.sent,
        "messages": tally.messages,
        "deliveries_per_s": round(tally.delivered / seconds, 1) if seconds else 0.0,
        "p50_ms": quantile(0.5),
        "p95_ms": quantile(0.95),
        "p99_ms": quantile(0.99),
        "max_ms": quantile(1.0),
    }


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _show(console: Console, rows: list[Row], as_json: bool, caption: str) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    console.print(_as_steps(rows, caption) if "passed" in rows[0] else _as_list(rows[0]))


def _as_list(row: Row) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("connected", row["connected"]),
        ("refused", _refusals(row)),
        ("connections lost", row["lost"]),
        ("events", row["events"]),
        ("delivered", f"{row['delivered']} of {row['expected']}"),
        ("delivered share", f"{row['delivered_share']:.3%}"),
        ("duplicates", row["duplicates"]),
        ("deliveries per second", f"{row['deliveries_per_s']:g}"),
        *((f"latency {name} (ms)", f"{row[f'{name}_ms']:g}") for name in ("p50", "p95", "p99", "max")),
    ):
        table.add_row(name, str(value))
    return table


def _as_steps(rows: list[Row], caption: str) -> Table:
    table = Table("clients", "delivered", "per second", "p50 ms", "p99 ms", "refused", "lost", caption=caption)
    for row in rows:
        share, rate = f"{row['delivered_share']:.2%}", f"{row['deliveries_per_s']:g}"
        p50, p99 = f"{row['p50_ms']:g}", f"{row['p99_ms']:g}"
        style = None if row["passed"] else "red"
        table.add_row(str(row["connected"]), share, rate, p50, p99, _refusals(row), str(row["lost"]), style=style)
    return table


def _refusals(row: Row) -> str:
    return ", ".join(f"{count} × {reason}" for reason, count in row["refused"].items()) or "0"
