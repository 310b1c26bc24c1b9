"""Clients whose connections break every few seconds: of the npm package in Node.js and Chromium, and of Python here."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pytest

from chaincast.client import Chaincast, State, connect
from local.stack.checkout import BUILD, free_port, node_environment
from local.stack.console import serve_files
from tests.client.package import CLIENT, build
from tests.e2e.node import CLIENTS, why_no_browser

Report: TypeAlias = dict[str, Any]
"""`open`: number of connected and subscribed clients. `held`: event ids that each client has received and that were not
retracted, in order (only after command `report`). `cuts`, `repeats`, `retracted`: counts so far."""

CUT_SECONDS = 10.0
STOP_SECONDS = 10.0


class Soak(Protocol):
    """A group of such clients."""

    async def ask(self, command: str) -> Report:
        """Run a command and return the state. `storm`: start to break connections; `calm`: stop; `state`; `report`."""
        ...


class NodeSoak:
    """Clients of the npm package, in a process of Node.js that responds to each line with a line of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, command: str) -> Report:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        report: Report = json.loads(await self._process.stdout.readline())
        return report


@asynccontextmanager
async def node_soak(url: str, topics: Sequence[Sequence[str]]) -> AsyncIterator[Soak]:
    """Run clients in Node.js."""
    await asyncio.to_thread(build)
    async with _running(CLIENT / "tests" / "soak.mjs", {}, url, topics) as soak:
        yield soak


@asynccontextmanager
async def chromium_soak(url: str, topics: Sequence[Sequence[str]]) -> AsyncIterator[Soak]:
    """Run clients in a page of headless Chromium whose network fails from time to time."""
    if why := await asyncio.to_thread(why_no_browser):
        pytest.skip(f"Chromium does not start on this machine: {why}")
    await asyncio.to_thread(build)
    port = free_port()
    files = await asyncio.to_thread(serve_files, CLIENT, port, BUILD / f"files-{port}.log")
    try:
        environment = {"CHAINCAST_FILES": f"http://127.0.0.1:{port}"}
        async with _running(CLIENTS / "soak.mjs", environment, url, topics) as soak:
            yield soak
    finally:
        await asyncio.to_thread(files.stop)


@asynccontextmanager
async def _running(
    script: Path, environment: dict[str, str], url: str, topics: Sequence[Sequence[str]]
) -> AsyncIterator[NodeSoak]:
    settings = {"CHAINCAST_URL": url, "CHAINCAST_TOPICS": json.dumps(topics), "CHAINCAST_CUT_SECONDS": str(CUT_SECONDS)}
    process = await asyncio.create_subprocess_exec(
        "node",
        str(script),
        env=node_environment() | environment | settings,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
        start_new_session=True,
    )
    try:
        yield NodeSoak(process)
    finally:
        # At the end of its input the script closes Chromium, which is in a process group of its own, and ends.
        assert process.stdin is not None
        process.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


class PythonSoak:
    """Clients of `chaincast.client`."""

    def __init__(self, count: int) -> None:
        self._held: list[dict[str, None]] = [{} for _ in range(count)]
        self._clients: list[Chaincast] = []
        """The subscribed clients."""
        self._counts = {"cuts": 0, "repeats": 0, "retracted": 0}
        self._stormy = asyncio.Event()

    async def ask(self, command: str) -> Report:
        if command == "storm":
            self._stormy.set()
        if command == "calm":
            self._stormy.clear()
        held = [[*ids] for ids in self._held] if command == "report" else []
        return {**self._counts, "open": sum(client.state is State.OPEN for client in self._clients), "held": held}

    async def run(self, number: int, url: str, topics: Sequence[str]) -> None:
        """Run one client until it is cancelled."""
        held = self._held[number]
        async with connect(url) as client, client.subscribe(*topics) as updates:
            self._clients.append(client)
            cutting = asyncio.create_task(self._cut(client))
            try:
                async for update in updates:
                    if update.retracted:
                        self._counts["retracted"] += 1
                        held.pop(update.event.id, None)
                    else:
                        self._counts["repeats"] += update.event.id in held
                        held[update.event.id] = None
            finally:
                cutting.cancel()

    async def _cut(self, client: Chaincast) -> None:
        """Abort the connection again and again during a storm."""
        while True:
            await self._stormy.wait()
            await asyncio.sleep(random.uniform(0.5, 1.5) * CUT_SECONDS)
            link = client._session._current  # private: a network failure does not use the public methods either
            if link is not None and self._stormy.is_set():
                self._counts["cuts"] += 1
                link._socket.transport.abort()


@asynccontextmanager
async def python_soak(url: str, topics: Sequence[Sequence[str]]) -> AsyncIterator[Soak]:
    """Run clients of `chaincast.client` in this process."""
    clients = PythonSoak(len(topics))
    tasks = [asyncio.create_task(clients.run(number, url, wanted)) for number, wanted in enumerate(topics)]
    try:
        yield clients
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
