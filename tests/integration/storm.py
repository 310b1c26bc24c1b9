"""A fake management API and table that fail at random.

Posts get responses 429, 410 and 500, are cut off before and after they were read, or get no response; some queries
fail. It is fast enough for hundreds of thousands of posts.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import cast
from urllib.parse import unquote

import httptools
import orjson
import uvloop

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Weather:
    """Probability (0…1) of each fault of a post. `gone`: the connection is closed from then on."""

    throttled: float = 0.0
    failed: float = 0.0
    cut_before: float = 0.0
    cut_after: float = 0.0
    stalled: float = 0.0
    gone: float = 0.0
    query_failed: float = 0.0


class Storm:
    """The server. `received`: the messages of each connection, in order; `rows`: the connections of each partition."""

    def __init__(self, rows: Mapping[str, Sequence[str]], weather: Weather, seed: int) -> None:
        self.rows = {key: sorted(connections) for key, connections in rows.items()}
        self.weather = weather
        self.received: dict[str, list[bytes]] = defaultdict(list)
        self.gone: set[str] = set()
        self.unsure: dict[str, list[bytes]] = defaultdict(list)
        """The posts of each connection that were read without a response. Their events may be delivered twice."""
        self.met: dict[str, int] = defaultdict(int)
        self._dice = Random(seed)
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()), daemon=True)
        self._stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()

    def fault(self) -> str | None:
        """Return the fault of the next post; None if it has none."""
        roll, weather = self._dice.random(), self.weather
        for name in ("throttled", "failed", "cut_before", "cut_after", "stalled", "gone"):
            roll -= getattr(weather, name)
            if roll < 0:
                self.met[name] += 1
                return name
        return None

    def query(self, parameters: dict[str, dict[str, dict[str, str]]]) -> bytes | None:
        """Return DynamoDB's response to a query; None if it fails."""
        if self._dice.random() < self.weather.query_failed:
            self.met["query_failed"] += 1
            return None
        ids = self.rows.get(parameters["ExpressionAttributeValues"][":k"]["S"], [])
        after = (parameters.get("ExclusiveStartKey") or {}).get("connection_id", {"S": ""})["S"]
        left = [i for i in ids if i > after and i not in self.gone]
        page = left[:_PAGE]
        document: dict[str, object] = {
            "Items": [{"connection_id": {"S": i}, "dialect": {"S": "chaincast.v1"}} for i in page]
        }
        if len(left) > _PAGE:
            document["LastEvaluatedKey"] = {"connection_id": {"S": page[-1]}}
        return orjson.dumps(document)


class _Connection(asyncio.Protocol):
    def __init__(self, storm: Storm) -> None:
        self._storm = storm

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []
        self._target = ""
        self._fault: str | None = None

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._target = unquote(url.decode())
        self._fault = self._storm.fault() if "@connections" in self._target else None

    def on_headers_complete(self) -> None:
        if self._fault == "cut_before":
            self._transport.abort()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        body, storm = b"".join(self._body), self._storm
        self._body.clear()
        if "@connections" not in self._target:
            page = storm.query(orjson.loads(body))
            if page is None:
                self._answer(500, b"")
            else:
                self._answer(200, page)
            return
        connection = self._target.rpartition("/")[2]
        if connection in storm.gone or self._fault == "gone":
            storm.gone.add(connection)
            self._answer(410, b"")
        elif self._fault == "throttled":
            self._answer(429, b"")
        elif self._fault == "failed":
            self._answer(500, b"")
        elif self._fault in ("cut_after", "stalled"):
            storm.received[connection].append(body)
            storm.unsure[connection].append(body)
            if self._fault == "cut_after":
                self._transport.abort()
        elif self._fault is None:
            storm.received[connection].append(body)
            self._transport.write(OK)

    def _answer(self, status: int, body: bytes) -> None:
        self._transport.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
