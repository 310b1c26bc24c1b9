from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from termios import FIONREAD
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from chaincast.eventlog.checkpoint import checkpoint_key, read_listener_status
from local.stack.checkout import CHAINCAST
from local.stack.local_stack import LocalStack
from local.stack.processes import Child
from tests.e2e.administrator import endpoint, session
from tests.e2e.client import Client
from tests.e2e.mining import Miner
from tests.factories import of_logs
from tests.scale import sized

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

KILLS = sized(4, full=10)
LISTENER = "listener"


def database(stack: LocalStack) -> DynamoDBClient:
    """The stack's DynamoDB, as its administrator."""
    return session().client("dynamodb", endpoint_url=endpoint(stack))


def table(stack: LocalStack, name: str) -> str:
    return stack.outputs.listener_environment[f"CHAINCAST_{name}_TABLE"]


def items(stack: LocalStack, name: str) -> list[dict[str, object]]:
    """Every item of a table, in key order."""
    pages = database(stack).get_paginator("scan").paginate(TableName=table(stack, name), ConsistentRead=True)
    found: list[dict[str, object]] = [dict(item) for page in pages for item in page["Items"]]
    return sorted(found, key=repr)


def empty(stack: LocalStack, name: str, *keys: str) -> None:
    """All of the network's items, which its listener writes again; nothing of others."""
    client = database(stack)
    for item in items(stack, name):
        key = {k: item[k] for k in keys}
        if stack.options.network in repr(key):
            client.delete_item(TableName=table(stack, name), Key=key)  # type: ignore[arg-type]  # as read


def listener(stack: LocalStack) -> Child:
    return next(child for child in stack.children if child.name == LISTENER)


def wait_until_indexed(stack: LocalStack, block: int) -> None:
    """Wait until the listener's checkpoint has reached a block that has events."""
    wait_until(lambda: has_reached(stack, block))


def has_reached(stack: LocalStack, block: int) -> bool:
    """Return True if the listener's checkpoint has reached a block."""
    found = read_listener_status(database(stack), table(stack, "STATE"), stack.options.network).block
    return found is not None and found >= block


def expire_lease(stack: LocalStack) -> None:
    """As if the lease's term were over: its holder did not renew it."""
    database(stack).update_item(
        TableName=table(stack, "STATE"),
        Key=checkpoint_key(stack.options.network),
        UpdateExpression="SET lease_until = :past",
        ExpressionAttributeValues={":past": {"N": "0"}},
    )


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    """Poll a condition until it holds. Raise TimeoutError after `seconds`."""
    pause, begun = Event(), monotonic()
    while not condition():
        if monotonic() - begun > seconds:
            raise TimeoutError(f"not after {seconds} s: {condition}")
        pause.wait(0.05)


def mine_and_kill(stack: LocalStack, miner: Miner, dice: random.Random) -> None:
    """Trade without a pause while the listener is killed again and again, each time somewhere else in its work."""
    done = Event()

    def trade() -> None:
        while not done.is_set():
            miner.block(4)
            done.wait(0.2)  # a pace, so that a restart has a dozen blocks to catch up with

    trading = Thread(target=trade)
    trading.start()
    try:
        for _ in range(KILLS):
            done.wait(dice.uniform(0.0, 0.6))
            child = listener(stack)
            child.process.kill()
            stack.stop_child(child)
            stack.start_listener(LISTENER)
    finally:
        done.set()
        trading.join()


async def test_kills_leave_the_log_as_an_uninterrupted_run_writes_it(stack: LocalStack, miner: Miner) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.subscribe("network:anvil")
        first = miner.node.block_number() + 1
        await asyncio.to_thread(mine_and_kill, stack, miner, random.Random(11))
        last = await asyncio.to_thread(miner.block, 4)
        expected = [e.id for e in miner.expected(first, last)]
        await client.until_event(expected[-1])
    assert len(expected) > KILLS * 4
    assert of_logs(dict.fromkeys(e["id"] for e in client.events)) == expected

    await asyncio.to_thread(wait_until_indexed, stack, last)
    interrupted = {name: items(stack, name) for name in ("LOG", "HISTORY")}
    await asyncio.to_thread(stack.stop_child, listener(stack))
    empty(stack, "LOG", "source", "cursor")
    empty(stack, "HISTORY", "topic", "position")
    empty(stack, "STATE", "key", "sort")
    await asyncio.to_thread(stack.start_listener, LISTENER)
    await asyncio.to_thread(wait_until_indexed, stack, last)
    assert items(stack, "LOG") == interrupted["LOG"]
    assert items(stack, "HISTORY") == interrupted["HISTORY"]


# Runs after the kills: events that are delivered twice are twice in the event log, which other tests would not expect.
async def test_a_listener_that_is_set_back_tells_the_same_events_again(stack: LocalStack, miner: Miner) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.subscribe("network:anvil")
        first = miner.node.block_number() + 1
        for _ in range(4):
            await asyncio.to_thread(miner.block, 3)
        expected = [e.id for e in miner.expected(first, miner.node.block_number())]
        await client.until_event(expected[-1])
        await asyncio.to_thread(wait_until_indexed, stack, miner.node.block_number())
        await asyncio.to_thread(set_back, stack, first - 1)
        await asyncio.to_thread(miner.block, 3)
        again = [e.id for e in miner.expected(first, miner.node.block_number())]
        await client.until_event(again[-1])
        told = of_logs(e["id"] for e in client.events)
    assert told == expected + again


def set_back(stack: LocalStack, block: int) -> None:
    """As docs/operating.md describes: stop the listener, set it back, start it."""
    stack.stop_child(listener(stack))
    expire_lease(stack)
    command = [
        CHAINCAST,
        "reset-checkpoint",
        "anvil",
        "--block",
        str(block),
        "--port",
        str(stack.options.port),
        "--yes",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_listener_status(database(stack), table(stack, "STATE"), "anvil").block == block
    stack.start_listener(LISTENER)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the function's process in /proc")
async def test_a_function_that_dies_is_answered_for_and_the_next_message_served(stack: LocalStack) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.send({"type": "ping", "id": "before"})
        await client.message("pong", id="before")
        processes = await stop_before_work(stack, client)
        for process in processes:
            os.kill(process, signal.SIGKILL)
        await client.until(lambda messages: "type" not in messages[-1])
        assert client.messages[-1]["message"] == "Internal server error"
        assert client.messages[-1].keys() == {"message", "connectionId", "requestId"}
        await client.send({"type": "ping", "id": "after"})
        await client.until(lambda messages: messages[-1].get("id") == "after")
        assert client.messages[-1]["type"] == "pong"


async def stop_before_work(stack: LocalStack, client: Client) -> list[int]:
    """Stop the message function's processes, send a ping that one of them receives, and return them.

    The emulator starts another process if it still regards the present ones as busy, and the new process answers the
    ping. The next attempt stops it, too.
    """
    for attempt in range(10):
        processes = message_processes(stack)
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        lost = f"lost{attempt}"

        def is_answered(lost: str = lost) -> bool:
            return any(message.get("id") == lost for message in client.messages)

        def has_arrived(processes: list[int] = processes) -> bool:
            return any(map(has_work, processes))

        await client.send({"type": "ping", "id": lost})
        await asyncio.to_thread(wait_until, lambda: has_arrived() or is_answered())
        if not is_answered():
            return processes
        for process in processes:
            os.kill(process, signal.SIGCONT)
    raise AssertionError("another process answered each time")


def message_processes(stack: LocalStack) -> list[int]:
    """Those that the emulator runs the stack's message function in."""
    found, worker = [], str(stack.directory / "tmp" / "ministack-lambda-Chaincast-GatewayMessage")
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if worker in command.read_text(errors="replace"):
                found.append(int(command.parent.name))
    return found


def has_work(process: int) -> bool:
    """Return True if a process has unread standard input, and False if it has ended."""
    try:
        with Path(f"/proc/{process}/fd/0").open("rb", buffering=0) as pipe:
            waiting = ioctl(pipe, FIONREAD, bytes(4))
    except FileNotFoundError:
        return False
    return int.from_bytes(waiting, sys.byteorder) > 0
