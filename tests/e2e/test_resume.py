from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from itertools import count
from threading import Event

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack
from tests.e2e.client import SECONDS, Client
from tests.e2e.mining import Miner
from tests.e2e.test_delivery import choose_topics, expected_ids
from tests.factories import of_logs
from tests.scale import sized

QUIET_SECONDS = 30.0
"""Seconds without a message after which a client checks whether it has everything."""

CLIENTS = sized(30, full=50)
BLOCKS = sized(120, full=500)
STAY_SECONDS = sized(6, full=20)
"""Longest time after an event before a client drops its connection."""


class Restless:
    """A client that drops its connection again and again, and comes back with the cursor it had."""

    def __init__(self, url: str, topics: list[str], dice: random.Random, stay: float) -> None:
        self._url = url
        self.topics = topics
        self._dice = dice
        self._stay_seconds = stay
        self.ids: list[str] = []
        self.since: str | None = None
        self.resumes = 0
        self.ready = asyncio.Event()
        self.told = asyncio.Event()
        self.quiet = asyncio.Event()
        """If set, the client no longer drops its connection."""

    async def run(self, last: asyncio.Future[str]) -> None:
        """Until the last event that is meant for it has come."""
        while not (last.done() and last.result() in self.ids):
            try:
                await self._stay(last)
            except (ConnectionClosed, TimeoutError):
                continue

    async def _stay(self, last: asyncio.Future[str]) -> None:
        async with connect(self._url, open_timeout=SECONDS) as socket:
            subscribe: dict[str, object] = {"type": "subscribe", "topics": self.topics}
            if self.since is not None:
                self.resumes += 1
                subscribe["since"] = {"anvil": self.since}
            await socket.send(json.dumps(subscribe))
            dropping = asyncio.create_task(self._drop(socket.transport))
            try:
                while not (last.done() and last.result() in self.ids):
                    self._take(json.loads(await asyncio.wait_for(socket.recv(), QUIET_SECONDS)))
            finally:
                dropping.cancel()

    def _take(self, message: dict[str, object]) -> None:
        assert message["type"] in ("connected", "subscribed", "events"), message
        if message["type"] == "subscribed":
            self.ready.set()
        if message["type"] == "events":
            cursor = str(message["cursor"])
            ids = [event["id"] for event in message["events"]]  # type: ignore[attr-defined]  # parsed JSON
            # A cursor may be lower than the one before only if the message repeats events.
            assert self.since is None or cursor >= self.since or set(of_logs(ids)).issubset(self.ids)
            self.since = cursor
            self.told.set()
            self.ids += ids

    async def _drop(self, transport: asyncio.Transport) -> None:
        await self.told.wait()
        await asyncio.sleep(self._dice.uniform(0.2, self._stay_seconds))
        if not self.quiet.is_set():
            transport.abort()


async def test_clients_that_drop_and_come_back_miss_nothing(stack: LocalStack) -> None:
    miner = Miner(stack.node, Market(stack.node, seed=21))
    miner.create_tokens(5)
    dice = random.Random(8)
    clients = [
        Restless(stack.outputs.websocket_url, choose_topics(miner, dice), random.Random(i), STAY_SECONDS)
        for i in range(CLIENTS)
    ]
    loop = asyncio.get_running_loop()
    lasts: list[asyncio.Future[str]] = [loop.create_future() for _ in clients]
    async with asyncio.TaskGroup() as group:
        for client, last in zip(clients, lasts, strict=True):
            group.create_task(client.run(last))
        await asyncio.gather(*(client.ready.wait() for client in clients))
        first = await asyncio.to_thread(mine, miner, lambda: sum(client.resumes for client in clients) > CLIENTS)
        await asyncio.to_thread(miner.create_tokens, 1)  # ends with a block that all topics but those of trades see
        final = await asyncio.to_thread(miner.block, 8)
        expected = [expected_ids(miner.expected(first, final), client.topics) for client in clients]
        for client, last, ids in zip(clients, lasts, expected, strict=True):
            client.quiet.set()
            last.set_result(ids[-1])
    for client, ids in zip(clients, expected, strict=True):
        # The stack may deliver a block from before the first one after the clients have subscribed.
        assert [id_ for id_ in of_logs(dict.fromkeys(client.ids)) if int(id_.split(":")[1]) >= first] == ids
    repeats = sum(len(client.ids) - len({*client.ids}) for client in clients)
    told = sum(len(client.ids) for client in clients)
    print(f"{sum(c.resumes for c in clients)} resumes, {told} events told, {repeats} of them repeats")


def mine(miner: Miner, enough: Callable[[], bool]) -> int:
    """Mine at the pace of a fast chain, at least `BLOCKS` blocks and until it is enough. Return the first block."""
    first, pace = miner.node.block_number() + 1, Event()
    for i in count():
        if i >= BLOCKS and enough():
            return first
        if i % 20 == 19:
            miner.create_tokens(1)
        else:
            miner.block(4)
        pace.wait(0.02)
    raise AssertionError("mining never ends by itself")


async def test_an_expired_cursor_is_named_with_the_oldest(stack: LocalStack, miner: Miner) -> None:
    await asyncio.to_thread(miner.block, 2)
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.send({"type": "subscribe", "id": 1, "topics": ["network:anvil"], "since": "000099999999"})
        error = await client.message("error", id=1)
        assert error["code"] == "BAD_CURSOR"


async def test_who_is_cut_off_before_anything_came_misses_nothing(stack: LocalStack, miner: Miner) -> None:
    topics = ["network:anvil", "price:BTC"]
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.send({"type": "subscribe", "topics": topics, "cursors": True})
        cursors = (await client.message("subscribed"))["cursors"]
        client.socket.transport.abort()
    assert cursors.keys() == {"anvil", "app-0"}
    first, last = await asyncio.to_thread(miner.blocks, 3, 3)
    expected = [event.id for event in miner.expected(first, last)]
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.send({"type": "subscribe", "topics": topics, "since": cursors})
        await client.until_event(expected[-1])
        assert of_logs(dict.fromkeys(event["id"] for event in client.events)) == expected
