"""Any interleaving of heads, reorgs, faults, crashes and failovers: the Log, folded, is the canonical chain."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from chaincast.aws import boto_clients, environment
from chaincast.config.network import Contract, Network
from chaincast.errors import SourceError
from chaincast.eventlog.contract_store import Contracts
from chaincast.eventlog.history_store import History
from chaincast.eventlog.lease import Lease
from chaincast.eventlog.log_store import Log
from chaincast.eventlog.market_store import MarketState
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.batches import Batch
from listener import adapters, follow
from listener.block_processor import BlockProcessor
from listener.follow import Follower
from listener.indexer import Indexer
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore
from listener.metrics import ListenerMetrics
from listener.sink import Sink
from listener.sources.evm import EvmSource
from listener.sources.failover import Failover
from listener.sources.faults import NoResponse, http_fault, rpc_fault
from tests.integration.helpers import folded
from tests.simulation.chain import ABI, ADDRESS, TOPIC, Chain, Entry, HttpStatus, Node, RpcError

SECONDS = 300
"""Upper limit for a wait that normally takes milliseconds: a busy machine must not fail the test."""
NETWORK = Network(
    chain_id=1337,
    rpc_url=("http://node",),
    start_block=1,
    block_ms=50,
    contracts=(Contract(adapter="abi", address=(ADDRESS,), abi=ABI),),
)


class Crash(BaseException):
    """The process dies here: nothing catches this."""


class Client:
    """A boto3 client with which the process dies at the n-th call, before or after it was carried out."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.crash_in = -1
        self.exceptions = client.exceptions

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if name == "get_paginator":
            return method

        def call(**arguments: Any) -> Any:
            self.crash_in -= 1
            if self.crash_in == 0:
                raise Crash
            answer = method(**arguments)
            if self.crash_in == 1:
                self.crash_in = -1
                raise Crash
            return answer

        return call


class SimRpc:
    """A node without a socket between: faults take no time."""

    pushes = False
    pushed_head = -1
    subscription_ended = False
    connected = True

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.node = node
        self.down = False
        self.head_pushed = asyncio.Event()

    async def connect(self) -> None: ...
    async def close(self) -> None: ...
    async def subscribe_heads(self, within: float) -> None: ...

    async def call(self, method: str, *params: object, within: float) -> object:
        await asyncio.sleep(0)
        if self.down:
            raise SourceError(f"{self.name}: is down")
        step = self.node.next_step(method)
        if isinstance(step, HttpStatus):
            raise http_fault(method, step.status, None)
        if step == "hang":
            raise NoResponse(method)
        if step == "drop":
            raise SourceError(f"{self.name}: closed")
        try:
            if isinstance(step, RpcError):
                raise step
            return self.node.answer(method, params, step)
        except RpcError as error:
            raise rpc_fault(method, error.answer) from None


FAULTS: list[RpcError | HttpStatus | str] = [
    "null",
    "empty",
    "hang",
    "drop",
    HttpStatus(429),
    HttpStatus(502),
    RpcError(-32005, "query returned more than 10000 results"),
    RpcError(-32000, "header not found"),
]
METHODS = ["eth_getLogs", "eth_getBlockByNumber", "eth_blockNumber"]

blocks = st.lists(st.integers(0, 3), min_size=1, max_size=4)
"""How many logs each of some blocks has."""

actions = st.one_of(
    st.tuples(st.just("mine"), blocks),
    st.tuples(st.just("mine"), blocks),
    st.tuples(st.just("reorganise"), st.integers(1, 8), st.lists(st.integers(0, 3), min_size=0, max_size=10)),
    st.tuples(
        st.just("fault"), st.integers(0, 1), st.sampled_from(METHODS), st.lists(st.sampled_from(FAULTS), max_size=4)
    ),
    st.tuples(st.just("freeze"), st.integers(0, 1)),
    st.tuples(st.just("thaw"), st.integers(0, 1)),
    st.tuples(st.just("down"), st.integers(0, 1)),
    st.tuples(st.just("up"), st.integers(0, 1)),
    st.tuples(st.just("crash"), st.integers(1, 12)),
    st.tuples(st.just("run"), st.integers(1, 60)),
    st.tuples(st.just("settle")),
)


class World:
    """A chain, two nodes, and a listener that is started again whenever it died."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.chain = Chain()
        self.nodes = [Node(self.chain), Node(self.chain)]
        self.rpcs = [SimRpc(f"node{i}", node) for i, node in enumerate(self.nodes)]
        self.database, self.queues = Client(boto_clients.dynamodb()), Client(boto_clients.sqs())
        self.numbers = count()
        self.crashes = 0
        self.follower: Follower | None = None
        self.task: asyncio.Task[None] | None = None
        self.log = Log(boto_clients.dynamodb(), environment.LOG.lower(), 3600)

    def entries(self, logs: int) -> list[Entry]:
        return [(ADDRESS, [TOPIC], next(self.numbers).to_bytes(32, "big")) for _ in range(logs)]

    def start(self) -> None:
        self.database.crash_in = self.queues.crash_in = -1
        state: Any = self.database
        sink = Sink(
            Lease(state, environment.STATE.lower(), self.name, "one", 15),
            Log(state, environment.LOG.lower(), 3600),
            History(state, environment.HISTORY.lower(), 3600),
            Contracts(state, environment.STATE.lower(), self.name),
            FanoutQueue(self.queues, os.environ[environment.FANOUT_QUEUE]),  # type: ignore[arg-type]  # a client all the same
            1,
        )
        sources = [(rpc.name, EvmSource(rpc, 1337, 0.05, 0.001)) for rpc in self.rpcs]
        source = Failover(sources, 0.05)
        source._stall_seconds = source._max_wait = 0.01

        def make_indexer() -> Indexer:
            return Indexer(self.name, [adapters.make(contract, NETWORK) for contract in NETWORK.contracts])

        metrics = ListenerMetrics(self.name)
        store = MarketStore(MarketState(state, environment.STATE.lower(), self.name), self.name, MarketSettings())
        processor = BlockProcessor(self.name, source, make_indexer, store)
        self.follower = Follower(self.name, NETWORK, source, sink, processor, 15, metrics, lambda: None)
        self.task = asyncio.create_task(self.follower.run())

    async def tend(self) -> None:
        """Start the listener again if it died."""
        if self.task is not None and self.task.done():
            with pytest.raises(Crash):
                await self.task
            self.crashes += 1
            self.task = None
        if self.task is None:
            self.start()

    async def act(self, action: tuple[Any, ...]) -> None:
        match action:
            case ("mine", sizes):
                for logs in sizes:
                    self.chain.mine(*self.entries(logs))
            case ("reorganise", depth, sizes):
                self.chain.reorganise(depth, *(self.entries(logs) for logs in sizes))
            case ("fault", node, method, steps):
                self.nodes[node].script[method].extend(steps)
            case ("freeze", node):
                self.nodes[node].freeze()
            case ("thaw", node):
                self.nodes[node].thaw()
            case ("down", node):
                self.rpcs[node].down = True
            case ("up", node):
                self.rpcs[node].down = False
            case ("crash", calls):
                self.database.crash_in = self.queues.crash_in = calls
            case ("run", turns):
                for _ in range(turns):
                    await asyncio.sleep(0)
            case ("settle",):
                await self.settle(required=False)
        await self.tend()

    def is_settled(self) -> bool:
        if self.follower is None:
            return False
        head, done = self.chain.blocks[-1], self.follower._sink.checkpoint
        return (done.block, done.block_hash) == (head.number, head.hash)

    async def settle(self, *, required: bool) -> None:
        """Wait until the listener is at the head; not for ever, as faults may keep it from there."""
        try:
            async with asyncio.timeout(SECONDS if required else 0.3):
                while not self.is_settled():
                    await self.tend()
                    if required:
                        self.outgrow()
                    await asyncio.sleep(0.002)
        except TimeoutError:
            if required:
                raise

    def outgrow(self) -> None:
        """Mine until the chain is as high as the blocks that the listener has read.

        A node with a lower head is a node that lags behind, so that the listener waits for more blocks. The listener
        may read blocks of an earlier branch until after the last reorganisation.
        """
        done = (self.follower and self.follower.done) or 0
        for _ in range(done - self.chain.head):
            self.chain.mine(*self.entries(1))

    async def end(self) -> None:
        """Remove all faults, mine a few more blocks, and wait until the listener has read them."""
        for node, rpc in zip(self.nodes, self.rpcs, strict=True):
            self.database.crash_in = self.queues.crash_in = -1
            node.thaw()
            node.script.clear()
            rpc.down = False
        for _ in range(2):
            self.chain.mine(*self.entries(1))
        await self.settle(required=True)
        assert self.follower is not None
        assert self.task is not None
        self.follower.stop()
        await asyncio.wait_for(self.task, SECONDS)

    def batches(self) -> list[Batch]:
        return list(self.log.after(self.name, 0))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Names for networks; and waits after faults cost no time."""
    monkeypatch.setattr(follow, "backoff", lambda *_: 0.001)
    numbers = count()
    return lambda: f"sim{next(numbers)}"


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "25")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(
    plan=[("mine", [0, 1, 1, 0]), ("settle",), ("fault", 0, "eth_blockNumber", ["hang"]), ("reorganise", 3, [3, 0])]
)
@given(plan=st.lists(actions, min_size=5, max_size=30))
def test_the_log_folded_is_the_canonical_chain(quick: Callable[[], str], plan: list[tuple[Any, ...]]) -> None:
    async def live() -> World:
        world = World(quick())
        world.chain.mine(*world.entries(1))
        await world.tend()
        for action in plan:
            await world.act(action)
        await world.end()
        return world

    world = asyncio.run(live())
    batches = world.batches()
    assert [batch.seq for batch in batches] == list(range(1, len(batches) + 1))
    assert folded(batches) == world.chain.ids(world.name)
    event(f"crashes: {min(world.crashes, 3)}")
    event(f"retractions: {min(sum(bool(b.retracted) for b in batches), 3)}")


@pytest.mark.parametrize("mined", [[0, 1, 1, 0], [2, 1]])
def test_a_branch_that_ends_at_the_same_height_is_noticed(quick: Callable[[], str], mined: list[int]) -> None:
    """A case that the test above found: no later block reveals the reorganisation."""

    async def live() -> World:
        world = World(quick())
        await world.tend()
        await world.act(("mine", mined))
        await world.settle(required=True)
        await world.act(("reorganise", 2, [3, 1]))
        await world.settle(required=True)
        assert world.follower is not None
        world.follower.stop()
        assert world.task is not None
        await world.task
        return world

    world = asyncio.run(live())
    assert folded(world.batches()) == world.chain.ids(world.name)
