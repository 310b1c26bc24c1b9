"""Our clients on a real stack, their connections cut every few seconds, on a chain that reorganises itself."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import pytest

from local.stack.local_stack import LocalStack
from tests.e2e.client import SECONDS
from tests.e2e.mining import Miner
from tests.e2e.soaks import CUT_SECONDS, Report, Soak, chromium_soak, node_soak, python_soak
from tests.e2e.test_crashes import wait_until_indexed
from tests.factories import of_logs

Starter: TypeAlias = Callable[[str, Sequence[Sequence[str]]], AbstractAsyncContextManager[Soak]]

SOAK_SECONDS = float(os.environ.get("CHAINCAST_SOAK_SECONDS", "10"))
CLIENTS = int(os.environ.get("CHAINCAST_SOAK_CLIENTS", "30"))
DEEPEST = 3


@pytest.mark.timeout(SOAK_SECONDS + 5 * SECONDS)
@pytest.mark.parametrize("soak", [node_soak, chromium_soak, python_soak])
async def test_clients_that_are_cut_off_hold_exactly_what_the_chain_has(
    stack: LocalStack, miner: Miner, soak: Starter
) -> None:
    dice = random.Random(3)
    await asyncio.to_thread(miner.create_tokens, 3)
    created = miner.node.block_number()
    tokens = sorted({t for e in miner.expected(0, created) for t in e.topics if t.startswith("trades:")})
    choices = [["network:anvil"], ["tokens:anvil"], ["trades:anvil:*"], *([token] for token in tokens[:3])]
    topics = [choices[number % len(choices)] for number in range(CLIENTS)]
    await asyncio.to_thread(miner.node.mine, DEEPEST + 1)
    await asyncio.to_thread(wait_until_indexed, stack, created)
    async with soak(stack.outputs.websocket_url, topics) as clients:
        await until_open(clients)
        first = miner.node.block_number() + 1
        await clients.ask("storm")
        ends = time.monotonic() + SOAK_SECONDS
        while time.monotonic() < ends:
            await asyncio.to_thread(miner.block, dice.randint(1, 4))
            if dice.random() < 0.1:
                await asyncio.to_thread(miner.node.call, "anvil_reorg", dice.randint(1, DEEPEST), [])
            await asyncio.sleep(0.3)  # blocks have a time
        await clients.ask("calm")
        await asyncio.to_thread(miner.create_tokens, 1)
        last = await asyncio.to_thread(miner.block, 4)
        expected = miner.expected(first, last)
        wanted = [[e.id for e in expected if reaches(e.topics, of)] for of in topics]
        found = await until_told(clients, wanted)
    wrong = [differs(of_logs(held), ids) for held, ids in zip(found["held"], wanted, strict=True)]
    assert list(filter(None, wrong)) == []
    assert found["repeats"] == 0
    assert found["cuts"] > CLIENTS * SOAK_SECONDS / CUT_SECONDS / 4
    deliveries = sum(map(len, wanted))
    print(f"{len(expected)} events, {deliveries} deliveries, {found['cuts']} cuts, {found['retracted']} retracted")


def differs(held: list[str], wanted: list[str]) -> str:
    """Describe how two lists of ids differ: missing or additional ids, or their order. Return "" if they are equal."""
    missing, more = [i for i in wanted if i not in held], [i for i in held if i not in wanted]
    place = next((n for n, (a, b) in enumerate(zip(held, wanted, strict=False)) if a != b), None)
    return f"of {len(wanted)} missing {missing}, too many {more}, first other at {place}" if held != wanted else ""


def reaches(filed: frozenset[str], listened: list[str]) -> bool:
    """Return True if events under these topics reach a subscriber of those topics."""
    return any(t in listened or (t.startswith("trades:") and "trades:anvil:*" in listened) for t in filed)


async def until_open(clients: Soak) -> None:
    """Until all are connected, and listen."""
    async with asyncio.timeout(SECONDS):
        while (await clients.ask("state"))["open"] < CLIENTS:  # noqa: ASYNC110 - another process has to be asked
            await asyncio.sleep(0.2)


async def until_told(clients: Soak, wanted: list[list[str]]) -> Report:
    """Return what the clients hold, once that is as wanted, or once nothing has arrived for a long time."""
    found = await clients.ask("report")
    ends = time.monotonic() + SECONDS
    while [of_logs(held) for held in found["held"]] != wanted and time.monotonic() < ends:
        await asyncio.sleep(0.5)
        before, found = found, await clients.ask("report")
        if found["held"] != before["held"]:
            ends = time.monotonic() + SECONDS
    return found
