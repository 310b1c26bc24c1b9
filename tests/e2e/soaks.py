"""Clients whose connections break every few seconds: the browser's in a process of Node.js, Python's in this one."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol, TypeAlias

from chaincast.client import Chaincast, Options, State, connect
from local.tools import ROOT, node_environment
from tests.client.package import npm

Report: TypeAlias = dict[str, Any]
"""`open`: how many are connected; `held`: ids that each believes in, in the order of their coming (if asked for it by
`report`); `cuts`, `repeats`, `retracted`: how many so far."""

CUT_SECONDS = 10.0


class Soak(Protocol):
    """Such clients."""

    async def ask(self, what: str) -> Report:
        """`storm`: break connections from now on; `calm`: no more; `state`, `report`: as it is."""
        ...


class BrowserSoak:
    """The running soak.mjs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, what: str) -> Report:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n".encode())
        found: Report = json.loads(await self._process.stdout.readline())
        return found


@asynccontextmanager
async def browser_soak(url: str, topics: Sequence[Sequence[str]]) -> AsyncIterator[Soak]:
    await asyncio.to_thread(npm, "run", "build")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(ROOT / "client" / "tests" / "soak.mjs"),
        env=node_environment()
        | {"CHAINCAST_URL": url, "CHAINCAST_TOPICS": json.dumps(topics), "CHAINCAST_CUT_SECONDS": str(CUT_SECONDS)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    try:
        yield BrowserSoak(process)
    finally:
        process.kill()
        await process.wait()


class PythonSoak:
    """Clients of `chaincast.client`."""

    def __init__(self, count: int) -> None:
        self._held: list[dict[str, None]] = [{} for _ in range(count)]
        self._states = [State.CONNECTING] * count
        self._counts = {"cuts": 0, "repeats": 0, "retracted": 0}
        self._stormy = asyncio.Event()

    async def ask(self, what: str) -> Report:
        if what == "storm":
            self._stormy.set()
        if what == "calm":
            self._stormy.clear()
        held = [[*ids] for ids in self._held] if what == "report" else []
        return {**self._counts, "open": self._states.count(State.OPEN), "held": held}

    async def live(self, number: int, url: str, topics: Sequence[str]) -> None:
        """One client: read for ever."""
        held = self._held[number]

        def note(state: State) -> None:
            self._states[number] = state

        async with connect(url, Options(on_state=note)) as client, client.subscribe(*topics) as updates:
            striking = asyncio.create_task(self._strike(client))
            try:
                async for update in updates:
                    if update.retracted:
                        self._counts["retracted"] += 1
                        held.pop(update.event.id, None)
                    else:
                        self._counts["repeats"] += update.event.id in held
                        held[update.event.id] = None
            finally:
                striking.cancel()

    async def _strike(self, client: Chaincast) -> None:
        while True:
            await self._stormy.wait()
            await asyncio.sleep(random.uniform(0.5, 1.5) * CUT_SECONDS)
            link = client._session._link  # whom a network failure asks neither
            if link is not None and self._stormy.is_set():
                self._counts["cuts"] += 1
                link._socket.transport.abort()


@asynccontextmanager
async def python_soak(url: str, topics: Sequence[Sequence[str]]) -> AsyncIterator[Soak]:
    clients = PythonSoak(len(topics))
    tasks = [asyncio.create_task(clients.live(number, url, wanted)) for number, wanted in enumerate(topics)]
    try:
        yield clients
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
