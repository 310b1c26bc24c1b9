"""Several networks in one process, and the container's health."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from functools import partial
from pathlib import Path

import pytest

from chaincast.config.load import parse
from chaincast.config.model import Config
from chaincast.errors import ConfigError
from listener import __main__ as entry
from listener import health
from listener.sources.base import RawLog
from listener.wiring import urls_of
from tests.integration.helpers import logged, until
from tests.simulation.chain import ABI, ADDRESS, TOPIC, Chain, Entry, Node
from tests.simulation.rpc import RpcServer
from tests.unit.listener.logs import FACTORY
from tests.unit.listener.test_uniswap_v2 import PAIR, chain_answers, pair_created, swap, sync


def configured(server: RpcServer, *names: str) -> Config:
    tables = [
        f"""
[networks.{name}]
chain_id = 1337
rpc_url = "{server.http(name)}"
start_block = 1
block_ms = 100
[[networks.{name}.contracts]]
adapter = "abi"
address = "{ADDRESS}"
abi = '{ABI}'
"""
        for name in names
    ]
    return parse("".join(tables))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(health, "FOLDER", tmp_path / "health")
    return tmp_path / "health"


def nodes(*names: str) -> dict[str, Node]:
    found = {name: Node(Chain()) for name in names}
    for node in found.values():
        node.chain.mine((ADDRESS, [TOPIC], bytes(32)))
    return found


async def test_one_process_follows_several_and_one_that_fails_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served = nodes("one", "two", "wrong")
    served["wrong"].chain_id = 56
    async with RpcServer(served) as server:
        monkeypatch.setenv("CHAINCAST_NETWORK", "one, two,wrong")
        followers = entry.make_followers(configured(server, *served))
        serving = asyncio.create_task(entry.serve(followers))
        await until(lambda: {batch.source for batch in logged()} == {"one", "two"})
        for name in ("one", "two"):
            served[name].chain.mine((ADDRESS, [TOPIC], bytes(32)))
        await until(lambda: len(logged()) == 4)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(serving, 300) == 3


async def test_a_network_that_is_not_configured_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with RpcServer(nodes("one")) as server:
        monkeypatch.setenv("CHAINCAST_NETWORK", "one,too")
        with pytest.raises(ConfigError, match="'too' is not configured; known: one"):
            entry.make_followers(configured(server, "one"))


def test_urls_of_the_environment_go_first_and_their_keys_are_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    network = parse('[networks.bsc-testnet]\nrpc_secret = "chaincast/rpc#bsc-testnet"\n').networks["bsc-testnet"]
    with pytest.raises(ConfigError, match="CHAINCAST_RPC_URL_BSC_TESTNET"):
        urls_of("bsc-testnet", network)
    monkeypatch.setenv("CHAINCAST_RPC_URL_BSC_TESTNET", " wss://a/key1, https://b/key2\n")
    assert urls_of("bsc-testnet", network) == ("wss://a/key1", "https://b/key2")
    monkeypatch.setenv("CHAINCAST_RPC_URL_BSC_TESTNET", "wss://a/key1 b/key2")
    with pytest.raises(ConfigError, match="place 2") as caught:
        urls_of("bsc-testnet", network)
    assert "key" not in str(caught.value)


def test_the_stacks_api_is_where_those_who_use_it_say(monkeypatch: pytest.MonkeyPatch) -> None:
    network = parse("[networks.stacks-mainnet]\n").networks["stacks-mainnet"]
    assert urls_of("stacks-mainnet", network) == ("https://api.mainnet.hiro.so",)
    monkeypatch.setenv("STACKS_API_URL", "http://127.0.0.1:3999")
    assert urls_of("stacks-mainnet", network) == ("http://127.0.0.1:3999",)


def turned_at(folder: Path) -> int:
    """When the loop of network `one` last turned (ns)."""
    return (folder / "one").stat().st_mtime_ns


async def test_a_stuck_loop_turns_unhealthy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    monkeypatch.setattr(health, "MAX_AGE_SECONDS", 1.0)
    assert health.main() == 1
    served = nodes("one")
    released = threading.Event()
    async with RpcServer(served) as server:
        monkeypatch.setenv("CHAINCAST_NETWORK", "one")
        followers = entry.make_followers(configured(server, "one"))
        serving = asyncio.create_task(entry.serve(followers))
        await until(logged)
        turned = turned_at(folder)
        await until(lambda: turned_at(folder) > turned)  # an idle chain is no stuck loop
        assert health.main() == 0
        sink = followers["one"]._sink
        monkeypatch.setattr(sink, "write", lambda *_: released.wait(60))
        served["one"].chain.mine((ADDRESS, [TOPIC], bytes(32)))
        await until(lambda: health.main() == 1)
        assert "the loop of one last ran" in capsys.readouterr().out
        released.set()
        for follower in followers.values():
            follower.stop()
        await asyncio.gather(serving, return_exceptions=True)


async def test_a_pairs_tokens_are_asked_for_once_and_kept_over_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uniswap V2 through the whole listener: what a chain with these contracts answers, answered."""
    served = {"ethereum": Node(Chain(), chain_id=1)}
    node = served["ethereum"]
    for (address, data), answer in chain_answers().items():
        node.answers[address, "0x" + data.hex()] = answer
    node.chain.mine(entry_of(pair_created(PAIR)), entry_of(sync(10**9, 10**18)), entry_of(swap(1, 0, 0, 1)))
    async with RpcServer(served) as server:
        config = parse(f"""
[networks.ethereum]
rpc_url = "{server.http("ethereum")}"
start_block = 1
block_ms = 100
[[networks.ethereum.contracts]]
adapter = "uniswap_v2"
address = "{FACTORY}"
""")
        monkeypatch.setenv("CHAINCAST_NETWORK", "ethereum")
        for blocks in (1, 2):
            followers = entry.make_followers(config)
            serving = asyncio.create_task(entry.serve(followers))
            await until(partial(is_logged, blocks))
            followers["ethereum"].stop()
            assert await asyncio.wait_for(serving, 300) == 0
            if blocks == 1:
                node.answers.clear()
                node.chain.mine(entry_of(sync(2 * 10**9, 10**18)))
    first, second = logged()
    assert [event.kind for event in first.events] == ["contract.event", "trade", "price"]
    assert [event.data["symbol"] for event in (*first.events[1:], *second.events)] == ["CAT", "CAT", "CAT"]
    assert second.events[0].data["price"] == "0.5"


def is_logged(batches: int) -> bool:
    return len(logged()) == batches


def entry_of(log: RawLog) -> Entry:
    return (log.address, log.topics, log.data)
