"""`chaincast tail`: show events as they arrive, as a live table or as lines of JSON."""

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

from rich.live import Live
from rich.table import Table
from rich.text import Text

from chaincast.client import Options, Refusal, State, Update, connect
from chaincast.errors import RequestError
from chaincast.model.events import Event, event_to_wire
from local.errors import StepFailed
from local.stack.deployment import local_websocket_url
from local.terminal import Terminal

MAX_ROWS = 20
RATE_SECONDS = 10


def run(options: argparse.Namespace) -> int:
    """Show events until Ctrl-C, or until `--count` of them were shown. Raises `StepFailed`."""
    url = options.url or local_websocket_url(options.port)
    topics = options.topics or ["network:*"]
    view: TableView | JsonLines = JsonLines() if options.json else TableView(url, topics)
    try:
        return asyncio.run(_follow(url, topics, options.count, view))
    except KeyboardInterrupt:
        return 0
    except Refusal as refusal:
        if refusal.code != "UNREACHABLE":
            raise StepFailed("tail", str(refusal), "see docs/protocol.md") from None
        why = f"cannot connect to {url}: {refusal.message}"
        raise StepFailed("tail", why, "start the local stack with make dev, or check the URL") from None
    except RequestError as error:
        raise StepFailed("tail", str(error), "see docs/protocol.md") from None


async def _follow(url: str, topics: list[str], count: int | None, view: TableView | JsonLines) -> int:
    shown = 0
    options = Options(on_state=view.set_state, on_gap=lambda source: _warn(f"events of {source} may be missing"))
    async with connect(url, options) as client, client.subscribe(*topics) as updates:
        with view:
            async for update in updates:
                view.add(update)
                shown += 1
                if shown == count:
                    break
    return 0


def _warn(text: str) -> None:
    print(f"chaincast: {text}", file=sys.stderr)


class JsonLines:
    """Prints one event per line to standard output, with `"retracted": true` if a reorganisation retracted it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def set_state(self, state: State) -> None:
        """Report a lost connection on standard error."""
        if state is State.WAITING:
            _warn("the connection was lost; reconnecting")

    def add(self, update: Update) -> None:
        """Print an event."""
        retracted = {"retracted": True} if update.retracted else {}
        line = {"source": update.source, "cursor": update.cursor, **retracted, **event_to_wire(update.event)}
        print(json.dumps(line), flush=True)


class TableView:
    """Shows the newest events as a table that is redrawn in place."""

    def __init__(self, url: str, topics: list[str]) -> None:
        self._title = f"{', '.join(topics)}  —  {url}"
        self._rows: deque[list[str | Text]] = deque(maxlen=MAX_ROWS)
        self._times: deque[float] = deque(maxlen=1000)
        self._total = 0
        self._state = State.CONNECTING
        self._live = Live(self._table(), console=Terminal(), refresh_per_second=8)

    def __enter__(self) -> None:
        self._live.__enter__()

    def __exit__(self, kind: Any, value: Any, trace: Any) -> None:
        self._live.__exit__(kind, value, trace)

    def set_state(self, state: State) -> None:
        """Show the state of the connection."""
        self._state = state
        self._live.update(self._table())

    def add(self, update: Update) -> None:
        """Show an event."""
        self._total += 1
        self._times.append(time.monotonic())
        self._rows.append(table_row(update))
        self._live.update(self._table())

    def _table(self) -> Table:
        recent = [t for t in self._times if t > time.monotonic() - RATE_SECONDS]
        rate = f"{len(recent) / RATE_SECONDS:.1f}/s"
        table = Table(title=self._title, caption=f"{self._state}: {self._total} events, {rate}", expand=True)
        table.add_column("time", no_wrap=True)
        table.add_column("network", no_wrap=True)
        table.add_column("block", justify="right", no_wrap=True)
        table.add_column("kind", no_wrap=True)
        table.add_column("token", no_wrap=True)
        table.add_column("details", ratio=1, no_wrap=True, overflow="ellipsis")
        for row in self._rows:
            table.add_row(*row)
        return table


def table_row(update: Update) -> list[str | Text]:
    """Return the cells of an event's row."""
    event, data = update.event, update.event.data
    at = datetime.fromtimestamp(event.timestamp / 1000, UTC).astimezone().strftime("%H:%M:%S")
    # Token names are untrusted: a Text object keeps their markup and control characters from the terminal.
    symbol = Text(_printable(str(data.get("symbol", ""))))
    details = _details(event)
    if update.retracted:
        details = Text("retracted: ", style="dim").append_text(details)
    return [at, update.source, str(event.block or ""), event.kind, symbol, details]


def _details(event: Event) -> Text:
    kind, data = event.kind, cast("Mapping[str, Any]", event.data)  # the fields of each kind: docs/protocol.md
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
    """Return amount, payment and unit of payment of a trade, in whole units.

    Trades on a bonding curve, in a pair, and those that a backend published have different fields.
    """
    if "native_amount" in trade:
        return int(trade["token_amount"]) / 1e18, int(trade["native_amount"]) / 1e18, ""
    if "quote_amount" in trade:
        tokens = int(trade["token_amount"]) / 10 ** (trade["token_decimals"] or 0)
        return tokens, int(trade["quote_amount"]) / 10 ** (trade["quote_decimals"] or 0), f" {trade['quote_symbol']}"
    return float(trade["amount"]), float(trade["amount"]) * float(trade["price"]), ""


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)
