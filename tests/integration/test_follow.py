"""The listener against a real node (anvil), writing to moto's tables."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from chaincast.aws import environment
from chaincast.config.network import Contract, Network
from chaincast.errors import ForkDetected, LeaseLost, SourceError, WrongChain
from chaincast.eventlog.contract_store import Contracts
from chaincast.eventlog.history_store import History
from chaincast.eventlog.lease import Lease
from chaincast.eventlog.log_store import Log
from chaincast.eventlog.market_store import MarketState
from chaincast.fanout.queue import FanoutQueue
from listener import adapters
from listener.adapters.launchpad import Launchpad
from listener.block_processor import BlockProcessor
from listener.follow import Follower
from listener.indexer import Indexer
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore
from listener.metrics import ListenerMetrics
from listener.sink import Sink
from listener.sources.base import LogFilter
from listener.sources.evm import EvmSource
from listener.sources.failover import Failover
from listener.sources.rpc import Rpc
from listener.wiring import make_source as make_network_source
from local.stack.chain import CHAIN_ID, FACTORY, Node, deploy_launchpad
from local.stack.checkout import free_port
from local.stack.demo_market import Market
from local.stack.processes import Child
from tests.e2e.mining import Miner
from tests.factories import of_logs
from tests.integration.helpers import closing, folded, items, logged, until

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

SECONDS = 300.0
WANTED = [LogFilter(topics0=Launchpad.topics0)]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[Node, Child]]:
    node = Node(free_port())
    child = node.start(tmp_path / "anvil.log", block_time=None)
    try:
        deploy_launchpad(node, mine=True)
        yield node, child
    finally:
        child.stop()


@pytest.fixture
def miner(node: tuple[Node, Child]) -> Miner:
    miner = Miner(node[0], Market(node[0], seed=2))
    miner.create_tokens(3)
    return miner


def make_source(node: Node, *, push: bool = True, chain_id: int = CHAIN_ID) -> EvmSource:
    return EvmSource(Rpc(node.ws_url if push else node.http_url), chain_id, 1.0, poll_seconds=0.05)


@pytest.mark.parametrize("push", [True, False], ids=["ws", "http"])
async def test_blocks_come_with_their_logs_and_ends(miner: Miner, push: bool) -> None:
    first, last = await asyncio.to_thread(miner.blocks, 6, 3)
    miner.node.mine(2)
    async with closing(make_source(miner.node, push=push)) as source:
        assert await source.head() == last + 2
        blocks = await source.blocks(first, last + 2, WANTED, linked=False)
        linked = await source.blocks(first, last + 2, WANTED, linked=True)
    assert [b.number for b in linked] == list(range(first, last + 3))
    assert [b for b in linked if b.logs or b.number == last + 2] == blocks
    assert blocks[-1].number == last + 2
    assert blocks[-1].logs == ()
    assert [b.number for b in blocks[:-1]] == list(range(first, last + 1))
    for before, after in pairwise(blocks[:6]):
        assert after.parent_hash == before.hash
    assert len([log for b in blocks for log in b.logs]) == len(miner.expected(first, last))


@pytest.mark.parametrize("push", [True, False], ids=["ws", "http"])
async def test_a_new_head_wakes(miner: Miner, push: bool) -> None:
    async with closing(Failover([("node", make_source(miner.node, push=push))], 1.0)) as source:
        head = await source.head()
        waiting = asyncio.create_task(_beyond(source, head))
        await asyncio.to_thread(miner.node.mine)
        assert await asyncio.wait_for(waiting, SECONDS) == head + 1


async def _beyond(source: Failover, block: int) -> int:
    while (head := await source.head_after(block)) <= block:
        pass
    return head


async def test_another_chain_is_refused(miner: Miner) -> None:
    async with closing(make_source(miner.node, chain_id=56)) as source:
        with pytest.raises(WrongChain, match=f"serves chain {CHAIN_ID}, the configuration says 56"):
            await source.head()


@pytest.mark.parametrize("scheme", ["ws", "http"])
async def test_a_node_that_is_not_there_is_an_error_without_its_url(scheme: str) -> None:
    async with closing(EvmSource(Rpc(f"{scheme}://127.0.0.1:1/v3/secret-key"), CHAIN_ID, 1.0)) as source:
        with pytest.raises(SourceError) as caught:
            await source.head()
    assert "secret-key" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.fixture
def make_follower(database: DynamoDBClient, queues: SQSClient, node: tuple[Node, Child]) -> Callable[..., Follower]:
    def make(owner: str = "one", lease_seconds: float = 15, **fields: object) -> Follower:
        described = {"chain_id": CHAIN_ID, "rpc_url": node[0].ws_url, "poll_ms": 50, "block_ms": 200, "start_block": 0}
        network = Network.model_validate(
            {**described, "contracts": [Contract(adapter="launchpad", address=(FACTORY,))], **fields}
        )
        state = environment.STATE.lower()
        sink = Sink(
            Lease(database, state, "anvil", owner, lease_seconds),
            Log(database, environment.LOG.lower(), 3600),
            History(database, environment.HISTORY.lower(), 3600),
            Contracts(database, state, "anvil"),
            FanoutQueue(queues, os.environ[environment.FANOUT_QUEUE]),
            1,
        )

        def indexer() -> Indexer:
            return Indexer("anvil", [adapters.make(contract, network) for contract in network.contracts])

        metrics = ListenerMetrics("anvil")
        source = make_network_source("anvil", network, metrics)
        store = MarketStore(MarketState(database, state, "anvil"), "anvil", MarketSettings.of(network))
        processor = BlockProcessor("anvil", source, indexer, store)
        return Follower("anvil", network, source, sink, processor, lease_seconds, metrics, lambda: None)

    return make


def logged_ids() -> list[str]:
    return of_logs(event.id for batch in logged() for event in batch.events)


def is_logged(expected: list[str]) -> bool:
    """Return True if the event log holds exactly these events, in order."""
    return logged_ids() == expected


async def follow_until(follower: Follower, condition: Callable[[], bool]) -> None:
    """Run a follower until the condition holds, then stop it gracefully."""
    running = asyncio.create_task(follower.run())
    watching = asyncio.create_task(until(condition))
    await asyncio.wait({running, watching}, return_when=asyncio.FIRST_COMPLETED)
    follower.stop()
    await asyncio.wait_for(running, SECONDS)
    await watching


async def test_everything_is_logged_in_order_without_a_gap_over_restarts(
    miner: Miner, make_follower: Callable[..., Follower]
) -> None:
    for _ in range(3):
        await asyncio.to_thread(miner.blocks, 5, 3)
        expected = [e.id for e in miner.expected(0, miner.node.block_number())]
        await follow_until(make_follower(block_range=2), partial(is_logged, expected))
    assert [b.seq for b in logged()] == list(range(1, len(logged()) + 1))


async def test_live_blocks_follow_a_backfill(miner: Miner, make_follower: Callable[..., Follower]) -> None:
    await asyncio.to_thread(miner.blocks, 3, 3)
    follower = make_follower()
    running = asyncio.create_task(follower.run())
    for _ in range(5):
        await asyncio.to_thread(miner.block, 3)
        expected = [e.id for e in miner.expected(0, miner.node.block_number())]
        await until(partial(is_logged, expected))
    follower.stop()
    await asyncio.wait_for(running, SECONDS)


async def test_confirmations_hold_blocks_back(miner: Miner, make_follower: Callable[..., Follower]) -> None:
    _, last = await asyncio.to_thread(miner.blocks, 4, 3)
    expected = [e.id for e in miner.expected(0, last - 2)]
    await follow_until(make_follower(confirmations=2), partial(is_logged, expected))


async def test_latest_begins_at_the_head_and_misses_nothing_after(
    miner: Miner, make_follower: Callable[..., Follower]
) -> None:
    _, last = await asyncio.to_thread(miner.blocks, 2, 3)
    follower = make_follower(start_block="latest")
    running = asyncio.create_task(follower.run())
    await until(lambda: any("block" in i for i in items(environment.STATE)))
    await asyncio.to_thread(miner.create_tokens, 4)  # those from before are not known
    expected = [e.id for e in miner.expected(last + 1, miner.node.block_number())]
    await until(partial(is_logged, expected))
    follower.stop()
    await running


async def test_a_reorganisation_deeper_than_finality_stops_the_listener_with_words(
    miner: Miner, make_follower: Callable[..., Follower]
) -> None:
    _, last = await asyncio.to_thread(miner.blocks, 6, 3)
    expected = [e.id for e in miner.expected(0, last)]
    await follow_until(make_follower(), partial(is_logged, expected))
    miner.node.call("anvil_reorg", 4, [])
    await asyncio.to_thread(miner.node.mine, 2)
    with pytest.raises(ForkDetected, match=r"deeper than finality_depth \(2 blocks under"):
        await asyncio.wait_for(make_follower(finality_depth=2).run(), SECONDS)
    assert logged_ids() == expected


def is_folded(expected: list[str]) -> bool:
    return of_logs(folded(logged())) == expected


def history_ids() -> set[str]:
    return set(of_logs(orjson.loads(bytes(item["event"]["B"]))["id"] for item in items(environment.HISTORY)))


@pytest.mark.parametrize("running", [True, False], ids=["while it follows", "while it is away"])
async def test_what_a_reorganisation_took_back_is_retracted_and_the_new_branch_told(
    miner: Miner, make_follower: Callable[..., Follower], running: bool
) -> None:
    """Tokens of the old branch are forgotten as well: on the new one there may be another at the same address."""
    await asyncio.to_thread(miner.blocks, 3, 3)
    follower = make_follower()
    following = asyncio.create_task(follower.run())
    for depth in (1, 5, 2, 7):
        await asyncio.to_thread(miner.create_tokens, 1)
        await asyncio.to_thread(miner.blocks, 4, 3)
        expected = [e.id for e in miner.expected(0, miner.node.block_number())]
        await until(partial(is_folded, expected))
        if not running:
            follower.stop()
            await asyncio.wait_for(following, SECONDS)
        miner.node.call("anvil_reorg", depth, [])
        await asyncio.to_thread(miner.blocks, 2, 3)
        if not running:
            follower = make_follower()
            following = asyncio.create_task(follower.run())
        expected = [e.id for e in miner.expected(0, miner.node.block_number())]
        await until(partial(is_folded, expected))
    follower.stop()
    await asyncio.wait_for(following, SECONDS)
    assert [b.seq for b in logged()] == list(range(1, len(logged()) + 1))
    assert history_ids() == {
        e.id for e in miner.expected(0, miner.node.block_number()) if e.kind in ("trade", "token.created")
    }


async def test_a_fork_among_blocks_that_brought_nothing_takes_nothing_back(
    miner: Miner, make_follower: Callable[..., Follower]
) -> None:
    _, last = await asyncio.to_thread(miner.blocks, 2, 3)
    expected = [e.id for e in miner.expected(0, last)]
    follower = make_follower()
    following = asyncio.create_task(follower.run())
    await until(partial(is_logged, expected))
    await asyncio.to_thread(miner.node.mine, 6)
    await until(lambda: follower._sink.checkpoint.block == last + 6)
    miner.node.call("anvil_reorg", 3, [])
    await asyncio.to_thread(miner.block, 3)
    expected = [e.id for e in miner.expected(0, miner.node.block_number())]
    await until(partial(is_logged, expected))
    follower.stop()
    await asyncio.wait_for(following, SECONDS)
    assert not any(batch.retracted for batch in logged())


async def test_a_node_that_goes_away_is_waited_for(
    miner: Miner, node: tuple[Node, Child], make_follower: Callable[..., Follower], tmp_path: Path
) -> None:
    state = miner.node.call("anvil_dumpState")
    node[1].stop()
    follower = make_follower()
    running = asyncio.create_task(follower.run())
    again = await asyncio.to_thread(node[0].start, tmp_path / "again.log", block_time=None)
    try:
        node[0].call("anvil_loadState", state)
        market = Market(node[0], seed=4)
        market.send([market.create_transaction()])
        node[0].mine()
        await until(lambda: bool(logged_ids()))
    finally:
        follower.stop()
        await asyncio.wait_for(running, SECONDS)
        again.stop()


async def test_a_second_listener_waits_and_takes_over(miner: Miner, make_follower: Callable[..., Follower]) -> None:
    first, second = make_follower("one"), make_follower("two", lease_seconds=0.5)
    running = asyncio.create_task(first.run())
    await until(lambda: bool(logged_ids()))
    standby = asyncio.create_task(second.run())
    first.stop()
    await asyncio.wait_for(running, SECONDS)
    await asyncio.to_thread(miner.block, 3)
    expected = [e.id for e in miner.expected(0, miner.node.block_number())]
    await until(partial(is_logged, expected))
    second.stop()
    await asyncio.wait_for(standby, SECONDS)


async def test_a_listener_whose_lease_was_taken_ends(miner: Miner, make_follower: Callable[..., Follower]) -> None:
    first = make_follower("same", lease_seconds=0.3)
    running = asyncio.create_task(first.run())
    await until(lambda: bool(logged_ids()))
    second = make_follower("same")
    taking = asyncio.create_task(second.run())
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(running, SECONDS)
    second.stop()
    await asyncio.wait_for(taking, SECONDS)
