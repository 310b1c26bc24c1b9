"""Latency on the local stack from a mined block to its event at the client: p50, p99, and the time of each step.

A block is mined when the block before has reached every client, so that this is the latency of a chain without a
backlog. The time begins when the node has responded to `evm_mine`.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.report import finish, parser, percentile, show
from local.stack.chain import Node
from local.stack.checkout import free_port
from local.stack.demo_market import Market
from local.stack.local_stack import LocalStack, StackOptions

Line: TypeAlias = dict[str, Any]  # a JSON log line

OPEN_SECONDS = 60
"""Limit of a connection's handshake, which waits for the cold starts of two functions."""
LOG_SECONDS = 60
"""Limit of the wait for a log line."""
OUR_OWN = ("decode", "plan")
STEPS = {
    "head": "listener: the node tells of the block",
    "fetch": "listener: header and logs",
    "decode": "listener: logs → events",
    "history": "tables: History",
    "log": "tables: Log and checkpoint, one transaction",
    "send": "queue: send",
    "queue": "queue → function start",
    "query": "fan-out: Query for subscribers",
    "plan": "fan-out: plan and encode",
    "post": "fan-out: posts to all clients",
    "last": "last post answered → last client has it",
}


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--clients", type=int, default=50)
    options.add_argument("--blocks", type=int, default=100)
    options.add_argument("--trades", type=int, default=4, help="trades in a block, about")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.clients, arguments.blocks = 3, 5
    with LocalStack(StackOptions(port=free_port(), node_port=free_port(), block_time=None, seed=None)) as stack:
        market = Market(stack.node, seed=5)
        hashes = market.send([market.create_transaction() for _ in range(5)])
        stack.node.mine()
        market.list_created(hashes)
        market.refresh()
        measured = asyncio.run(
            _measure(
                stack.outputs.websocket_url, stack.node, market, arguments.clients, arguments.blocks, arguments.trades
            )
        )
        steps = _steps(measured, stack.directory)
    every = [arrival - mined for mined, arrivals in measured.values() for arrival in arrivals]
    figures = _report(every, steps, arguments.clients)
    finish(arguments, figures)
    return 0


async def _measure(
    url: str, node: Node, market: Market, clients: int, blocks: int, trades: int
) -> dict[str, tuple[float, list[float]]]:
    """By cursor: the time (ms) when the block was mined, and the times when clients received it."""
    dice = random.Random(1)
    async with AsyncExitStack() as exit_stack:
        sockets = [
            await exit_stack.enter_async_context(connect(url, open_timeout=OPEN_SECONDS)) for _ in range(clients)
        ]
        for socket in sockets:
            topics = dice.choice([["trades:*:*"], ["network:anvil"], ["trades:anvil:*", "tokens:*"]])
            await socket.send(json.dumps({"type": "subscribe", "topics": topics}))
            await _next(socket, "subscribed")
        found: dict[str, tuple[float, list[float]]] = {}
        for number in range(blocks + 5):
            await asyncio.to_thread(market.send, market.trade_transactions(trades))
            await asyncio.to_thread(node.mine)
            mined = time.time() * 1000
            arrivals = await asyncio.gather(*(_next(socket, "events") for socket in sockets))
            if number >= 5:  # the first blocks include cold starts
                found[arrivals[0][0]] = (mined, [at for _, at in arrivals])
        return found


async def _next(socket: ClientConnection, type_: str) -> tuple[str, float]:
    """Wait for the next message of a type. Return its cursor and the time of arrival."""
    while True:
        text = await asyncio.wait_for(socket.recv(), 30)
        at = time.time() * 1000
        message = json.loads(text)
        if message["type"] == type_:
            return message.get("cursor", ""), at


def _steps(measured: dict[str, tuple[float, list[float]]], run: Path) -> dict[str, list[float]]:
    """Return the milliseconds of each step, block by block, from the log lines of listener and fan-out."""
    queued = _lines(run / "listener.log", "batch queued", measured)
    delivered = _lines(run / "ministack.log", "batch delivered", measured)
    steps: dict[str, list[float]] = {name: [] for name in STEPS}
    for cursor, (mined, arrivals) in measured.items():
        listener, fanout = queued[cursor], delivered[cursor]
        found = {
            "head": listener["woken"] - mined,
            **{name: listener["ms"][name] for name in ("fetch", "decode", "history", "log")},
            "send": listener["ms"]["queue"],
            **{name: fanout["ms"][name] for name in ("queue", "query", "plan", "post")},
            "last": max(arrivals) - fanout["ended"],
        }
        for name, value in found.items():
            steps[name].append(value)
    return steps


def _lines(path: Path, message: str, cursors: Iterable[str]) -> dict[str, Line]:
    """Return a log's lines by their cursors, once it has a line of each: clients have a batch before it is logged.

    Raises:
        TimeoutError: After LOG_SECONDS, lines are missing.
    """
    ends = time.monotonic() + LOG_SECONDS
    while True:
        *whole, _unfinished = path.read_text().split("\n")
        lines = [json.loads(text) for text in whole if f'"message":"{message}"' in text]
        found: dict[str, Line] = {line["correlation_id"]: line for line in lines}
        if not (missing := set(cursors) - found.keys()):
            return found
        if time.monotonic() > ends:
            raise TimeoutError(f"{path} has no line {message!r} of {sorted(missing)}")
        time.sleep(0.2)


def _report(every: list[float], steps: dict[str, list[float]], clients: int) -> dict[str, object]:
    def row(name: str, values: list[float]) -> list[str]:
        return [name, f"{percentile(values, 0.5):.1f}", f"{percentile(values, 0.99):.1f}"]

    rows = [row(STEPS[name], values) for name, values in steps.items()]
    ours = [sum(values) for values in zip(*(steps[name] for name in OUR_OWN), strict=True)]
    rows += [row("of which our own code (decode, plan, encode)", ours), row("block mined → client has it", every)]
    show(f"latency, {len(steps['head'])} blocks, {clients} clients (ms)", ["step", "p50", "p99"], rows)
    return {
        "p50_ms": percentile(every, 0.5),
        "p99_ms": percentile(every, 0.99),
        "own_p99_ms": percentile(ours, 0.99),
        "steps_p50_ms": {name: percentile(values, 0.5) for name, values in steps.items()},
        "steps_p99_ms": {name: percentile(values, 0.99) for name, values in steps.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
