"""`chaincast load`: many clients on a stack, here or deployed: how much of what they are owed arrives, and when."""

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
from local.commands.tail import local_url
from local.stack.deployment import local_http_url
from local.stack.tools import REGION, StepFailed

Figures: TypeAlias = dict[str, Any]  # one row of the table, for --json

SYMBOLS = 10
SETTLE_SECONDS = 5.0
"""What is on its way at the end may still arrive within."""

GRACE_SECONDS = 3.0
"""What was on its way when the last client came is there after."""

STEP_SECONDS = 10.0
GROWTH = 1.5
ENOUGH_SHARE = 0.999
SLOW_MS = 1000.0
"""A step breaks down when less is delivered, or the slowest in a hundred take longer."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `rate`: events that are published a second, spread over the topics; 0: none, others do."""

    url: str
    topics: tuple[str, ...]
    rate: float
    connect_rate: float
    publisher: Publisher | None


def run(options: argparse.Namespace) -> int:
    """Load a stack and print a table; 0 if all was delivered (or, ramping, if a first step held)."""
    console = Console(stderr=options.json, highlight=False)
    plan = _plan(options)
    if options.ramp_to:
        rows = asyncio.run(_ramp(plan, options.clients, options.ramp_to, console))
        held = [row for row in rows if row["held"]]
        _show(console, rows, options.json, "the last step that held is the one to believe" if held else "none held")
        return 0 if held else 1
    row = asyncio.run(_load(plan, options.clients, options.duration, console))
    _show(console, [row], options.json, "")
    return 0 if row["delivered_share"] == 1.0 and not row["refused"] and not row["lost"] else 1


def _plan(options: argparse.Namespace) -> Plan:
    url = options.url or local_url(options.port)
    topics = tuple(t for given in options.topics or () for t in given.split(","))
    topics = topics or tuple(f"trade:LOAD{n}" for n in range(SYMBOLS))
    publisher = None
    if options.rate:
        # Trades: of prices that come together, a client is told the last.
        foreign = [topic for topic in topics if not topic.startswith("trade:") or topic.endswith("*")]
        if foreign:
            raise StepFailed("load", f"{foreign[0]!r} is no trade:SYMBOL to publish to", "other topics need --rate 0")
        publisher = _publisher(options)
    return Plan(url, topics, options.rate, options.connect_rate, publisher)


def _publisher(options: argparse.Namespace) -> Publisher:
    """With the machine's AWS credentials; of the stack on this machine, which takes any, with any."""
    if options.http_url:
        return Publisher(options.http_url)
    if options.url:
        raise StepFailed("load", "where to publish?", "--http-url (the stack's output HttpUrl), or --rate 0")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "test"
    return Publisher(local_http_url(options.port), region=REGION)


async def _load(plan: Plan, clients: int, seconds: float, console: Console) -> Figures:
    fleet = _fleet(plan)
    try:
        with _progress(console) as progress:
            await _grow(fleet, plan, clients, progress)
            await fleet.overlook(GRACE_SECONDS)
            running = progress.add_task("running", total=round(seconds))
            began = time.monotonic()
            await _run(fleet, plan, seconds, lambda passed: progress.update(running, completed=round(passed)))
            lasted = time.monotonic() - began
        return figures(fleet.tally, lasted)
    finally:
        await fleet.close()


async def _ramp(plan: Plan, first: int, last: int, console: Console) -> list[Figures]:
    """Steps of ever more clients, until one breaks down or all are there."""
    rows: list[Figures] = []
    fleet, size = _fleet(plan), first
    try:
        with _progress(console) as progress:
            while True:
                refused = fleet.tally.refused.total()
                await _grow(fleet, plan, size, progress)
                await fleet.overlook(GRACE_SECONDS)
                began, before = time.monotonic(), fleet.tally
                fleet.tally = Tally(connected=fleet.size, refused=before.refused, lost=before.lost)
                await _run(fleet, plan, STEP_SECONDS, lambda passed: None)
                row = figures(fleet.tally, time.monotonic() - began)
                missing = fleet.tally.refused.total() - refused + fleet.tally.lost - before.lost
                row["held"] = row["delivered_share"] >= ENOUGH_SHARE and row["p99_ms"] <= SLOW_MS and not missing
                rows.append(row)
                if not row["held"] or size >= last:
                    return rows
                size = min(round(size * GROWTH), last)
    finally:
        await fleet.close()


def _fleet(plan: Plan) -> Fleet:
    return Fleet(plan.url, lambda number: (plan.topics[number % len(plan.topics)],))


async def _grow(fleet: Fleet, plan: Plan, size: int, progress: Progress) -> None:
    connecting = progress.add_task(f"{size} clients", total=size - fleet.size)
    await fleet.grow(size, plan.connect_rate, lambda: progress.advance(connecting))


async def _run(fleet: Fleet, plan: Plan, seconds: float, told: Callable[[float], object]) -> None:
    """Publish, or only listen, for so long; then wait for what is on its way."""
    began, sent = time.monotonic(), 0
    publishing: set[asyncio.Task[None]] = set()
    while (passed := time.monotonic() - began) < seconds:
        told(passed)
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
    await fleet.settle(SETTLE_SECONDS)
    fleet.miss()
    told(seconds)


def trade(symbol: str, amount: float) -> Item:
    """One to publish, that is told apart by its amount."""
    return {"kind": "trade", "symbol": symbol, "data": {"price": 1.0, "amount": amount, "side": "buy"}}


async def _publish(fleet: Fleet, publisher: Publisher, topic: str, number: int) -> None:
    item = trade(topic.removeprefix("trade:"), number + 1.0)
    fleet.expect(topic)
    try:
        refused = await asyncio.to_thread(publisher.publish, item)
    except PublishError as error:
        raise StepFailed("publish", str(error), "docs/publishing.md says who may") from None
    if refused:
        raise StepFailed("publish", f"{refused[0].code}: {refused[0].message}", "name other topics")


def figures(tally: Tally, seconds: float) -> Figures:
    """What a load came to."""
    latencies = sorted(tally.latencies)

    def quantile(share: float) -> float:
        return round(latencies[min(int(len(latencies) * share), len(latencies) - 1)], 1) if latencies else 0.0

    return {
        "connected": tally.connected,
        "refused": dict(tally.refused),
        "lost": tally.lost,
        "events": tally.events,
        "owed": tally.owed,
        "delivered": tally.delivered,
        "delivered_share": tally.share,
        "repeated": tally.repeated,
        "said": tally.said,
        "messages": tally.messages,
        "messages_per_s": round(tally.delivered / seconds, 1) if seconds else 0.0,
        "p50_ms": quantile(0.5),
        "p95_ms": quantile(0.95),
        "p99_ms": quantile(0.99),
        "max_ms": quantile(1.0),
    }


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _show(console: Console, rows: list[Figures], as_json: bool, caption: str) -> None:
    if as_json:
        print(json.dumps(rows))
        return
    console.print(_as_list(rows[0]) if "held" not in rows[0] else _as_steps(rows, caption))


def _as_list(row: Figures) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("connected", row["connected"]),
        ("refused", _refusals(row)),
        ("connections lost", row["lost"]),
        ("events", row["events"]),
        ("delivered", f"{row['delivered']} of {row['owed']}"),
        ("delivered share", f"{row['delivered_share']:.3%}"),
        ("repeats", row["repeated"]),
        ("deliveries a second", f"{row['messages_per_s']:g}"),
        *((f"{name} (ms)", f"{row[f'{name}_ms']:g}") for name in ("p50", "p95", "p99", "max")),
    ):
        table.add_row(name, str(value))
    return table


def _as_steps(rows: list[Figures], caption: str) -> Table:
    table = Table("clients", "share", "a second", "p50 ms", "p99 ms", "refused", "lost", caption=caption)
    for row in rows:
        share, rate = f"{row['delivered_share']:.2%}", f"{row['messages_per_s']:g}"
        p50, p99 = f"{row['p50_ms']:g}", f"{row['p99_ms']:g}"
        style = None if row["held"] else "red"
        table.add_row(str(row["connected"]), share, rate, p50, p99, _refusals(row), str(row["lost"]), style=style)
    return table


def _refusals(row: Figures) -> str:
    return ", ".join(f"{count} × {why}" for why, count in row["refused"].items()) or "0"
