"""A test that events are neither lost nor reordered when the number of shards changes."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from threading import Event, Thread

from local.stack.checkout import ROOT
from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack
from tests.e2e.client import Client
from tests.e2e.mining import Miner
from tests.e2e.test_crashes import LISTENER, listener
from tests.factories import of_logs

CLIENTS = 12


def with_shards(folder: Path, shards: int) -> Path:
    """Write the configuration with another number of shards, and return its path."""
    text = (ROOT / "chaincast.toml").read_text()
    assert "shards = 1 " in text
    path = folder / f"shards-{shards}.toml"
    path.write_text(text.replace("shards = 1 ", f"shards = {shards} "))
    return path


def change_while_trading(stack: LocalStack, miner: Miner, folder: Path) -> None:
    """Mine blocks continuously while listeners with different numbers of shards replace each other."""
    done = Event()

    def trade() -> None:
        while not done.is_set():
            miner.block(4)
            done.wait(0.1)  # the emulator keeps up with this rate even if rows of three numbers of shards are read

    trading = Thread(target=trade)
    trading.start()
    try:
        for shards in (4, 3, 1):
            stack.stop_child(listener(stack))
            stack.start_listener(LISTENER, with_shards(folder, shards))
            done.wait(1.5)
    finally:
        done.set()
        trading.join()


async def test_changing_the_number_of_shards_loses_nothing_and_keeps_the_order(
    stack: LocalStack, tmp_path: Path
) -> None:
    miner = Miner(stack.node, Market(stack.node, seed=31))
    miner.create_tokens(5)
    async with AsyncExitStack() as exit_stack:
        clients = [await exit_stack.enter_async_context(Client(stack.outputs.websocket_url)) for _ in range(CLIENTS)]
        for client in clients:
            await client.message("connected")
            await client.subscribe("network:anvil")
        first = miner.node.block_number() + 1
        await asyncio.to_thread(change_while_trading, stack, miner, tmp_path)
        last = await asyncio.to_thread(miner.block, 4)
        expected = [e.id for e in miner.expected(first, last)]
        for client in clients:
            await client.until_event(expected[-1])
    for client in clients:
        # Events of the block that created the tokens may arrive after the subscription, too.
        assert of_logs(e["id"] for e in client.events if e["block"] >= first) == expected
        assert client.cursors == sorted(set(client.cursors))
