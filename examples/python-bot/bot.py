"""A bot that follows all trades and reports large ones. After a lost connection it resumes without gaps."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from contextlib import suppress

from chaincast.client import Event, Options, State, connect

LARGE = 0.3
"""Amount of native coins from which on a trade is large."""


def stack_url() -> str:
    """Return the URL of the environment variable CHAINCAST_URL, or that of the local stack, from its live console."""
    if url := os.environ.get("CHAINCAST_URL"):
        return url
    with urllib.request.urlopen("http://127.0.0.1:4580/config.json") as response:
        return str(json.load(response)["url"])


def is_large(trade: Event) -> bool:
    """Return True if a large amount of native coins was paid or received."""
    return int(str(trade.data.get("native_amount", 0))) >= LARGE * 10**18


def print_state(state: State) -> None:
    """Print the state of the connection."""
    print(f"connection: {state}", flush=True)


async def main() -> None:
    """Follow trades until Ctrl-C."""
    options = Options(on_state=print_state)
    async with connect(stack_url(), options) as chaincast, chaincast.subscribe("trades:*:*") as trades:
        async for update in trades:
            trade = update.event
            if update.retracted:
                print(f"retracted: {trade.id}", flush=True)
            elif is_large(trade):
                print(f"large: {trade.data['side']} of {trade.data['symbol']} in {trade.tx_hash}", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
