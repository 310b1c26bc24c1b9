"""A JavaScript client in Node.js: code of a user's, with the real npm libraries, and what reaches it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Any, Self, TypeAlias
from uuid import uuid4

import pytest

from local.stack.checkout import ROOT, node_environment
from tests.e2e.client import SECONDS

CLIENTS = ROOT / "tests" / "clients"
RECORDING = "./recording.mjs"

Report: TypeAlias = dict[str, Any]  # a line of recording.mjs


class NodeClient:
    """Runs code as a module of tests/clients, or in a browser's page; keeps what it reports."""

    def __init__(self, code: str, url: str, *, browser: bool = False) -> None:
        self._code = _in_a_page(code) if browser else code
        self._browser = browser
        self._url = url
        self._arrived = asyncio.Condition()
        self._file = CLIENTS / f"generated-{uuid4().hex}.mjs"
        self.reports: list[Report] = []
        self._reading: asyncio.Task[None]
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        if self._browser and (why := await asyncio.to_thread(why_no_browser)):
            pytest.skip(f"Chromium does not start on this machine: {why}")
        self._file.write_text(self._code)
        self._process = await asyncio.create_subprocess_exec(
            "node",
            *([str(CLIENTS / "browser.mjs")] if self._browser else []),
            str(self._file),
            env=node_environment() | {"CHAINCAST_URL": self._url},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**20,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(60):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading
        self._file.unlink()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._arrived:
                self.reports.append(json.loads(line))
                self._arrived.notify_all()

    async def send(self, what: object) -> None:
        """Have the client send a message (WebSocket), or `{"emit": [event, data], "ack": name}` (Socket.IO)."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()

    async def first(self, what: str, condition: Callable[[Report], bool], *, behind: int = 0) -> Report:
        """Wait for a report that meets a condition, and return the first one after `behind` reports."""
        try:
            async with asyncio.timeout(SECONDS), self._arrived:
                await self._arrived.wait_for(lambda: any(map(condition, self.reports[behind:])))
        except TimeoutError:
            last = "\n".join(str(report)[:300] for report in self.reports[-20:])
            raise TimeoutError(f"no {what} in {SECONDS} s; the last reports:\n{last}") from None
        return next(filter(condition, self.reports[behind:]))

    async def message(self, type_: str, channel: str | None = None) -> Report:
        """The first WebSocket message of a type (and channel)."""

        def matches(report: Report) -> bool:
            message = report.get("message")
            return message is not None and message["type"] == type_ and channel in (None, message.get("channel"))

        message: Report = (await self.first(f"message {type_} {channel}", matches))["message"]
        return message

    async def said(self, id_: str) -> Report:
        """The first WebSocket message with an id."""
        message: Report = (await self.first(f"message {id_}", lambda r: r.get("message", {}).get("id") == id_))[
            "message"
        ]
        return message

    async def logged(self, begins: str) -> list[str]:
        """Return the values of the first line that the program logged with this beginning."""
        line: list[str] = (await self.first(f"line {begins!r}", lambda r: r.get("logged", [""])[0] == begins))["logged"]
        return line

    async def event(self, name: str, **fields: object) -> Report:
        """The data of the first Socket.IO event of a name, with these fields."""

        def matches(report: Report) -> bool:
            return report.get("event") == name and all(report["data"].get(k) == v for k, v in fields.items())

        data: Report = (await self.first(f"event {name}", matches))["data"]
        return data

    async def ask(self, name: str, argument: object) -> Report:
        """Emit an event and wait for its acknowledgement."""
        ack = f"{name} {len(self.reports)}"
        await self.send({"emit": [name, argument], "ack": ack})
        answer: Report = (await self.first(f"answer to {name}", lambda r: r.get("ack") == ack))["answer"]
        return answer


@cache
def why_no_browser() -> str:
    """Why the browser cannot start, if it lacks libraries that are the machine's to have; empty if it can."""
    command = ["node", str(CLIENTS / "browser.mjs")]
    done = subprocess.run(command, env=node_environment(), capture_output=True, text=True, check=False)
    found = re.search("error while loading shared libraries: .*", done.stderr)
    return found[0] if found else ""


def _in_a_page(code: str) -> str:
    """Code without its imports: a page has the libraries; what is ours is put in their place."""
    for line, name in re.findall(r"""^(import .* from ["'](\./[\w-]+\.mjs)["'];)$""", code, re.MULTILINE):
        ours = "" if name == RECORDING else (CLIENTS / name).read_text().replace("export ", "")
        code = code.replace(line, ours)
    return re.sub(r"^import .*$", "", code, flags=re.MULTILINE)
