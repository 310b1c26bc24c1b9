"""The environment of a measured listener, in a process of its own: a node with a simulated chain, and a fake AWS.

`python -m benchmarks.chain PORT AWS_PORT BLOCKS LOGS SECONDS`: a chain of BLOCKS blocks with LOGS trades of the demo
launchpad each, and then a new block every SECONDS seconds (0: none).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvloop
from eth_abi.abi import encode

from benchmarks.dynamodb import AcceptingTables
from benchmarks.http_server import listen
from listener.adapters.launchpad import TOKEN_CREATED, TRADE
from local.stack.checkout import PYTHON, ROOT, free_port, port_taken
from local.stack.processes import spawn, wait_until_up
from tests.simulation.chain import Chain, Entry, Node
from tests.simulation.rpc import RpcServer

FACTORY, TRADER = ("0x" + c * 20 for c in ("f0", "d4"))
MARKETS = 50


@dataclass(frozen=True, slots=True)
class Around:
    """The addresses of the node and of AWS, and the output of the node's process."""

    http: str
    ws: str
    aws: str
    log: Path


@contextmanager
def around(folder: Path, blocks: int, logs: int, seconds: float = 0) -> Iterator[Around]:
    """Run a node and AWS."""
    node_port, aws_port = free_port(), free_port()
    command = [PYTHON, "-m", "benchmarks.chain", *map(str, (node_port, aws_port, blocks, logs, seconds))]
    child = spawn("chain", command, {"PYTHONPATH": str(ROOT)}, folder / "chain.log", ROOT)

    def answers() -> None:
        if not (port_taken(node_port) and port_taken(aws_port)):
            raise ConnectionError

    wait_until_up(child, answers, 300, "look at what it says")
    try:
        node = f"127.0.0.1:{node_port}/node"
        yield Around(f"http://{node}", f"ws://{node}", f"http://127.0.0.1:{aws_port}", child.log)
    finally:
        child.stop()


def _indexed(address: str) -> bytes:
    return bytes.fromhex(address[2:]).rjust(32, b"\0")


def _address(number: int, prefix: str) -> str:
    return f"0x{prefix}{number:038x}"


def creations() -> list[Entry]:
    """Return the logs of the creation of the traded tokens."""
    data = encode(["string", "string", "uint256"], ["Moon Cat", "MC", 10**27])
    return [
        (FACTORY, [TOKEN_CREATED.topic0, *map(_indexed, (_address(n, "b2"), _address(n, "a1"), TRADER))], data)
        for n in range(MARKETS)
    ]


def trades(number: int, count: int) -> list[Entry]:
    """Return the logs of a block of trades."""
    found: list[Entry] = []
    for i in range(count):
        amounts = encode(["uint256"] * 4, [10**18 + number, 3 * 10**24 + i, 11 * 10**18, 9 * 10**26])
        topics = [TRADE.topic0, _indexed(TRADER), (i % 2).to_bytes(32, "big")]
        found.append((_address((number + i) % MARKETS, "a1"), topics, amounts))
    return found


async def _serve(port: int, aws_port: int, blocks: int, logs: int, seconds: float) -> None:
    # Live blocks must have the current time. The age of past blocks does not matter.
    chain = Chain(genesis_time=int(time.time()) - blocks - 1)
    chain.mine(*creations())
    for number in range(1, blocks):
        chain.mine(*trades(number, logs))
    async with RpcServer({"node": Node(chain)}, port) as server:
        aws = await listen(aws_port, AcceptingTables().respond)
        async with aws:
            due = time.time()
            while True:
                due += seconds or 3600
                await asyncio.sleep(max(0.0, due - time.time()))
                entries = trades(len(chain.blocks), logs)
                block = chain.mine(*entries)
                print(block.number, time.time(), flush=True)  # the time of mining, for the measurement
                await server.announce()


if __name__ == "__main__":
    _port, _aws_port, _blocks, _logs = map(int, sys.argv[1:5])
    uvloop.run(_serve(_port, _aws_port, _blocks, _logs, float(sys.argv[5])))
