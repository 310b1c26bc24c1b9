"""`chaincast tail`: a small client that shows events as they come, as a live table or as JSON lines."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaincast.client import Options, Refusal, State, Update, connect
from chaincast.errors import ClientError
from chaincast.model.events import Event, told_of
from local.commands.dev import URL_FILE
from local.stack.deployment import run_directory
from local.stack.tools import StepFailed

ROWS = 20


def run(options: argparse.Namespace) -> int:
    """Show events until Ctrl-C, `--count` or the connection's end."""
    url = options.url or local_url(options.port)
    topics = options.topics or ["network:*"]
    show: Screen | JsonLines = JsonLines() if options.json else Screen(url, topics)
    try:
        return asyncio.run(_follow(url, topics, options.count, show))
    except KeyboardInterrupt:
        return 0
    except Refusal as refusal:
        if refusal.code != "UNREACHABLE":
            raise StepFailed("tail", str(refusal), "see docs/protocol.md") from None
        why = f"cannot connect to {url}: {refusal.message}"
        raise StepFailed("tail", why, "is the stack running? make dev") from None
    except ClientError as error:
        raise StepFailed("tail", str(error), "see docs/protocol.md") from None


def local_url(port: int) -> str:
    """The WebSocket URL of the stack that runs on a port of this machine. Raises `StepFailed`."""
    path = run_directory(port) / URL_FILE
    if not path.exists():
        raise StepFailed(
            "connect", f"no stack runs on port {port} of this machine", "make dev, or give a WebSocket URL"
        )
    return path.read_text()


async def _follow(url: str, topics: list[str], count: int | None, show: Screen | JsonLines) -> int:
    seen = 0
    options = Options(on_state=show.state, on_gap=lambda source: _note(f"of {source}, events may be missing"))
    async with connect(url, options) as client, client.subscribe(*topics) as updates:
        with show:
            async for update in updates:
                show.add(update)
                seen += 1
                if seen == count:
                    break
    return 0


def _note(text: str) -> None:
    print(f"chaincast: {text}", file=sys.stderr)


class JsonLines:
    """One event a line on standard output; `"retracted": true` where it was taken back."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def state(self, state: State) -> None:
        if state is State.WAITING:
            _note("the connection was lost; connecting again")

    def add(self, update: Update) -> None:
        taken_back = {"retracted": True} if update.retracted else {}
        line = {"source": update.source, "cursor": update.cursor, **taken_back, **told_of(update.event)}
        print(json.dumps(line), flush=True)


class Screen:
    """The newest events as a table that stays in place."""

    def __init__(self, url: str, topics: list[str]) -> None:
        self._title = f"{', '.join(topics)}  —  {url}"
        self._rows: deque[list[str | Text]] = deque(maxlen=ROWS)
        self._times: deque[float] = deque(maxlen=1000)
        self._total = 0
        self._state = State.CONNECTING
        self._live = Live(self._table(), console=Console(), refresh_per_second=8)

    def __enter__(self) -> None:
        self._live.__enter__()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self._live.__exit__(kind, value, trace)

    def state(self, state: State) -> None:
        self._state = state
        self._live.update(self._table())

    def add(self, update: Update) -> None:
        self._total += 1
        self._times.append(time.monotonic())
        self._rows.append(_row(update))
        self._live.update(self._table())

    def _table(self) -> Table:
        recent = [t for t in self._times if t > time.monotonic() - 10]
        table = Table(
            title=self._title, caption=f"{self._state}: {self._total} events, {len(recent) / 10:.1f}/s", expand=True
        )
        table.add_column("time", no_wrap=True)
        table.add_column("network", no_wrap=True)
        table.add_column("block", justify="right", no_wrap=True)
        table.add_column("kind", no_wrap=True)
        table.add_column("token", no_wrap=True)
        table.add_column("what", ratio=1, no_wrap=True, overflow="ellipsis")
        for row in self._rows:
            table.add_row(*row)
        return table


def _row(update: Update) -> list[str | Text]:
    event, data = update.event, update.event.data
    at = datetime.fromtimestamp(event.timestamp / 1000, UTC).astimezone().strftime("%H:%M:%S")
    # Names come from strangers: as Text they cannot carry markup to the terminal.
    symbol = Text(_printable(str(data.get("symbol", ""))))
    what = _what(event)
    if update.retracted:
        what = Text("taken back: ", style="dim").append_text(what)
    return [at, update.source, str(event.block or ""), event.kind, symbol, what]


def _what(event: Event) -> Text:
    kind, data = event.kind, cast("Mapping[str, Any]", event.data)  # each kind has its fields: docs/protocol.md
    if kind == "trade":
        bought, paid, unit = _amounts(data)
        text = Text(f"{data['side']:<4}", style="green" if data["side"] == "buy" else "red")
        price = "" if data.get("price") is None else f"  at {float(data['price']):.3e}"
        return text.append(f" {bought:>16,.0f} for {paid:>10.4f}{_printable(unit)}{price}", style="default")
    if kind == "price" and "change_24h" in data:
        change = "" if data["change_24h"] is None else f"  {data['change_24h']:+.1f} % in 24 h"
        return Text(f"{float(data['price'] or 0):.3e}{change}")
    if kind == "alert":
        return Text(_printable(str(data["message"])), style="red" if data["severity"] == "critical" else "yellow")
    if kind == "token.created":
        return Text(f"“{_printable(str(data['name']))}” by {data['creator']}")
    return Text(
        _printable(" ".join(f"{name}={value}" for name, value in data.items() if name not in ("name", "symbol")))
    )


def _amounts(trade: Mapping[str, Any]) -> tuple[float, float, str]:
    """What was traded and what for, in whole units, and of what: on a curve, in a pair, or as a backend published."""
    if "native_amount" in trade:
        return int(trade["token_amount"]) / 1e18, int(trade["native_amount"]) / 1e18, ""
    if "quote_amount" in trade:
        tokens = int(trade["token_amount"]) / 10 ** (trade["token_decimals"] or 0)
        return tokens, int(trade["quote_amount"]) / 10 ** (trade["quote_decimals"] or 0), f" {trade['quote_symbol']}"
    return float(trade["amount"]), float(trade["amount"]) * float(trade["price"]), ""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)
