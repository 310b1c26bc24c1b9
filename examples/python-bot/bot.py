"""A bot: follows all trades, and says which are large. It may be stopped and started: what it missed it asks for."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from contextlib import suppress

from chaincast.client import Event, Options, State, connect

LARGE = 0.3
"""Native coins."""


def stack_url() -> str:
    """The URL in the environment; else the local stack's, which its console knows."""
    if url := os.environ.get("CHAINCAST_URL"):
        return url
    with urllib.request.urlopen("http://127.0.0.1:4580/config.json") as answer:
        return str(json.load(answer)["url"])


def is_large(trade: Event) -> bool:
    """Whether somebody paid or got much."""
    return int(str(trade.data.get("native_amount", 0))) >= LARGE * 10**18


def say_state(state: State) -> None:
    print(f"connection: {state}", flush=True)


async def main() -> None:
    options = Options(on_state=say_state)
    async with connect(stack_url(), options) as chaincast, chaincast.subscribe("trades:*:*") as trades:
        async for update in trades:
            trade = update.event
            if update.retracted:
                print(f"taken back: {trade.id}", flush=True)
            elif is_large(trade):
                print(f"large: {trade.data['side']} of {trade.data['symbol']} in {trade.tx_hash}", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
