from __future__ import annotations

import asyncio
import random

from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack
from tests.e2e.client import Client, Message
from tests.e2e.mining import Miner
from tests.factories import of_logs
from tests.scale import sized

REORGS = sized(30, full=100)
DEEPEST = 20


def folded(messages: list[Message]) -> list[str]:
    """Return the events that a client holds: those it received without those that were retracted."""
    held: dict[str, None] = {}
    for message in messages:
        for id_ in message.get("ids", []):
            if of_logs([id_]):
                del held[id_]
            else:
                held.pop(id_, None)  # of prices in one message only the last is delivered
        held |= dict.fromkeys(event["id"] for event in message.get("events", []))
    return of_logs(held)


def grow(miner: Miner, dice: random.Random, create: bool) -> str | None:
    """A few blocks of trades; the last event that they brought."""
    first = miner.node.block_number() + 1
    for _ in range(dice.randint(1, 10)):
        miner.block(4)
    if create:
        miner.create_tokens(1)
    events = miner.expected(first, miner.node.block_number())
    return events[-1].id if events else None


async def test_after_many_reorganisations_a_client_holds_the_final_chain(stack: LocalStack) -> None:
    miner = Miner(stack.node, Market(stack.node, seed=41))
    miner.create_tokens(5)
    await asyncio.to_thread(miner.node.mine, DEEPEST)  # what was there before stays
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.subscribe("network:anvil")
        first = miner.node.block_number() + 1
        dice = random.Random(17)
        for i in range(REORGS):
            last = await asyncio.to_thread(grow, miner, dice, i % 10 == 9)
            if last is not None and dice.random() < 0.7:  # or else the listener never hears of this branch
                await client.until_event(last)
            depth = 1 + int(DEEPEST * dice.random() ** 3)  # more shallow ones than deep ones, as chains have them
            await asyncio.to_thread(miner.node.call, "anvil_reorg", depth, [])
        await asyncio.to_thread(miner.create_tokens, 1)
        expected = [e.id for e in miner.expected(first - DEEPEST, miner.node.block_number())]
        await client.until(lambda messages: folded(messages) == expected, 180)
    retracted = sum(len(m["ids"]) for m in client.messages if m["type"] == "retracted")
    assert retracted > REORGS
    assert len(expected) > REORGS
    print(f"{len(client.events)} events told, {retracted} taken back, {len(expected)} on the final chain")
