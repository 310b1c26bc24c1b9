"""Two listeners of one network: when the one that works dies, or sleeps, the other takes over."""

from __future__ import annotations

import asyncio
import signal

from local.stack.local_stack import LocalStack
from local.stack.processes import Child
from tests.e2e.client import SECONDS, Client
from tests.e2e.mining import Miner
from tests.e2e.test_crashes import LISTENER, items, listener
from tests.factories import of_logs

LOST_LEASE = 4
"""The exit code of a listener whose network another one took over."""


async def mined_through(client: Client, miner: Miner, first: int) -> None:
    """The chain goes on; wait until the client has its newest event, and see that it has all, once each, in order."""
    for _ in range(5):
        await asyncio.to_thread(miner.block, 3)
    expected = [e.id for e in miner.expected(first, miner.node.block_number())]
    await client.until_event(expected[-1])
    assert of_logs(e["id"] for e in client.events) == expected


async def test_a_standby_takes_over_with_nothing_lost_or_doubled(stack: LocalStack, miner: Miner) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.subscribe("network:anvil")
        first = miner.node.block_number() + 1
        standby = await asyncio.to_thread(stack.start_listener, "standby", owner="standby", standby=True)
        await mined_through(client, miner, first)

        working = listener(stack)
        working.process.kill()
        await asyncio.to_thread(stack.stop_child, working)
        await mined_through(client, miner, first)

        # Now the other way round: the one that works is paused, and wakes when it is too late.
        await asyncio.to_thread(stack.start_listener, LISTENER, owner="second", standby=True)
        await asyncio.to_thread(miner.block, 3)
        standby.process.send_signal(signal.SIGSTOP)
        await mined_through(client, miner, first)
        written = {name: items(stack, name) for name in ("LOG", "HISTORY")}
        standby.process.send_signal(signal.SIGCONT)
        assert await asyncio.to_thread(standby.process.wait, SECONDS) == LOST_LEASE
        assert {name: items(stack, name) for name in ("LOG", "HISTORY")} == written
        await mined_through(client, miner, first)
    await asyncio.to_thread(end, stack, standby)


def end(stack: LocalStack, standby: Child) -> None:
    """Leave the stack with its own listener."""
    stack.stop_child(standby)
    stack.stop_child(listener(stack))
    stack.start_listener(LISTENER)
