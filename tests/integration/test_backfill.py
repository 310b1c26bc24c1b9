"""Tests of the backfill: past blocks are read in parallel, then live ones without a gap or repetition."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from chaincast.aws import environment
from chaincast.config.load import parse
from chaincast.errors import ConfigError
from listener.backfill import Progress
from listener.follow import Follower
from listener.wiring import make_follower
from tests.integration.helpers import expire_lease, items, logged, take_batches, until
from tests.simulation.chain import ABI, ADDRESS, TOPIC, Chain, Entry, HttpStatus, Node, RpcError
from tests.simulation.rpc import RpcServer

BLOCKS, FINALITY = 300, 20


def entry(n: int) -> Entry:
    return (ADDRESS, [TOPIC], n.to_bytes(32, "big"))


class Stage:
    """A chain with a past, a node of it, and listeners."""

    def __init__(self, server: RpcServer, node: Node) -> None:
        self.node = node
        self.chain = node.chain
        self._url = server.http("node")

    def follower(self, **fields: Any) -> Follower:
        values = {"start_block": 1, "finality_depth": FINALITY, "block_range": 16, "block_ms": 100, **fields}
        keys = "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items() if name != "backfill")
        config = parse(f"""
[networks.net]
chain_id = 1337
rpc_url = "{self._url}"
{keys}
[networks.net.backfill]
{fields.get("backfill", "")}
[[networks.net.contracts]]
adapter = "abi"
address = "{ADDRESS}"
abi = '{ABI}'
""")
        return make_follower(config, "net", config.networks["net"], lambda: None)

    def grow(self, blocks: int) -> None:
        for _ in range(blocks):
            number = len(self.chain.blocks)
            # A quiet stretch, single logs, a busy block now and then.
            count = 0 if number % 7 == 0 else 12 if number % 50 == 0 else 1
            self.chain.mine(*(entry(number * 100 + i) for i in range(count)))

    def expected(self, first: int, last: int) -> list[str]:
        return self.chain.ids("net", first)[: len(self.chain.ids("net", first)) - len(self.chain.ids("net", last + 1))]


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    chain = Chain()
    node = Node(chain)
    async with RpcServer({"node": node}) as server:
        stage = Stage(server, node)
        stage.grow(BLOCKS)
        yield stage


@asynccontextmanager
async def running(follower: Follower) -> AsyncIterator[Follower]:
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        follower.stop()
        await asyncio.wait_for(task, 300)


def in_history() -> list[str]:
    found = [orjson.loads(bytes(item["event"]["B"])) for item in items(environment.HISTORY)]
    return [e["id"] for e in sorted(found, key=lambda e: (e["block"], e["log_index"]))]


def in_log() -> list[str]:
    return [event.id for batch in logged() for event in batch.events]


async def test_the_past_goes_to_history_the_rest_to_clients_without_gap_or_repeat() -> None:
    async with staged() as stage, running(stage.follower()) as follower:
        for _ in range(30):  # the chain does not wait for the backfill
            stage.grow(1)
            await asyncio.sleep(0)
        head = stage.chain.head
        await until(lambda: follower.done == head)
        stage.grow(3)
        await until(lambda: follower.done == head + 3)
        assert in_history() == stage.expected(1, head + 3)
        final = follower._sink.backfill_to
        assert final >= BLOCKS - FINALITY
        assert in_log() == stage.expected(final + 1, head + 3)
        assert [e.id for batch in take_batches() for e in batch.events] == in_log()


async def test_a_backfill_that_is_to_be_delivered_is() -> None:
    async with staged() as stage, running(stage.follower(backfill="deliver = true")) as follower:
        await until(lambda: follower.done == BLOCKS)
        assert in_log() == stage.expected(1, BLOCKS)


async def test_a_listener_that_died_goes_on_where_it_was_and_still_tells_nobody() -> None:
    async with staged() as stage:
        stage.node.max_range = 8
        follower = stage.follower()
        task = asyncio.create_task(follower.run())
        await until(lambda: (follower.done or 0) >= 60)
        task.cancel()  # nothing is saved, nothing is given back
        await asyncio.gather(task, return_exceptions=True)
        stage.grow(100)
        expire_lease("net")
        async with running(stage.follower()) as again:
            await until(lambda: again.done == stage.chain.head)
        assert in_history() == stage.expected(1, stage.chain.head)
        assert in_log() == stage.expected(BLOCKS - FINALITY + 1, stage.chain.head)


FAULTS: list[HttpStatus | RpcError | str] = [
    RpcError(-32005, "query returned more than 10000 results"),
    HttpStatus(429, {"Retry-After": "0.05"}),
    HttpStatus(502),
    "drop",
    RpcError(-32000, "header not found"),
]


async def test_faults_and_limits_on_the_way_cost_time_and_nothing_else() -> None:
    async with staged() as stage:
        stage.node.max_range, stage.node.max_results = 10, 11
        stage.node.script["eth_getLogs"].extend([None, *FAULTS, None, *FAULTS] * 2)
        stage.node.script["eth_getBlockByNumber"].extend([None, None, "null", *FAULTS[1:]])
        async with running(stage.follower()) as follower:
            await until(lambda: follower.done == BLOCKS)
        assert in_history() == stage.expected(1, BLOCKS)


async def test_only_so_many_ranges_are_asked_for_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged() as stage:
        follower = stage.follower(backfill="parallel = 3")
        written: list[int] = []
        asked_ahead = 0
        backfill = follower._sink.backfill

        def slow(batches: Any, found: Any, last: Any) -> None:
            nonlocal asked_ahead
            ranges = [p[0] for method, p in stage.node.calls if method == "eth_getLogs" and "fromBlock" in p[0]]
            asked_ahead = max(asked_ahead, len(ranges) - len(written))
            written.append(last.number)
            backfill(batches, found, last)

        monkeypatch.setattr(follower._sink, "backfill", slow)
        async with running(follower):
            await until(lambda: follower.done == BLOCKS)
        assert 2 <= asked_ahead <= 4
        assert written == sorted(written)


async def test_without_a_checkpoint_one_that_only_goes_on_does_not_begin() -> None:
    async with staged() as stage:
        with pytest.raises(ConfigError, match='start_block is "checkpoint", but these tables have no checkpoint'):
            await stage.follower(start_block="checkpoint").run()
        expire_lease("net")
        async with running(stage.follower(start_block="latest")) as follower:
            await until(lambda: follower.done == BLOCKS)
        stage.grow(2)
        async with running(stage.follower(start_block="checkpoint")):
            await until(lambda: in_log() == stage.expected(BLOCKS + 1, BLOCKS + 2))


def test_progress_says_how_fast_and_how_long() -> None:
    progress = Progress(101, 1100, now=10.0)
    progress.report(200, 50, now=11.0)
    assert progress.report(600, 450, now=15.0) == {
        "block": 600,
        "of": 1100,
        "percent": 50.0,
        "blocks_per_second": 100.0,
        "events_per_second": 100.0,
        "seconds_left": 5,
    }
