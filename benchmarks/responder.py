"""A DynamoDB-protocol responder: answers Query on the Subscriptions table from pages that are prepared at its start.

A process of its own (`python -m benchmarks.responder PORT SUBSCRIBERS OTHERS`), so that the measured one has only the
work it has in Lambda. `OTHERS` are connections with rows under topics that no event is about.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import httptools
import orjson
import uvloop

from benchmarks.posting import connection_id
from benchmarks.subscribers import prepared, topics_of
from chaincast.model.sharding import partition
from local.stack.checkout import PYTHON, ROOT, free_port, port_taken
from local.stack.processes import spawn, wait_until_up

_EMPTY = b'{"Items":[],"Count":0}'


@contextmanager
def responder(subscribers: int, others: int, folder: Path) -> Iterator[str]:
    """The URL of a running responder."""
    port = free_port()
    command = [PYTHON, "-m", "benchmarks.responder", str(port), str(subscribers), str(others)]
    child = spawn("responder", command, {"PYTHONPATH": str(ROOT)}, folder / "responder.log", ROOT)

    def answers() -> None:
        if not port_taken(port):
            raise ConnectionError

    wait_until_up(child, answers, 120, "look at what it says")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


class _Server(asyncio.Protocol):
    pages: dict[tuple[str, str], bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        self._body: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        query = orjson.loads(b"".join(self._body))
        self._body.clear()
        key = query["ExpressionAttributeValues"][":k"]["S"]
        after = (query.get("ExclusiveStartKey") or {}).get("connection_id", {"S": ""})["S"]
        body = self.pages.get((key, after), _EMPTY)
        self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


async def _serve(port: int, subscribers: int, others: int) -> None:
    by_topic: dict[str, list[str]] = {}
    for number in range(subscribers):
        by_topic.setdefault(topics_of(number), []).append(connection_id(number))
    for number in range(others):
        by_topic.setdefault(f"price:SYMBOL{number % 1000}", []).append(connection_id(5_000_000 + number))
    _Server.pages = {
        (partition(topic, 1, 0), after): body
        for topic, ids in by_topic.items()
        for after, body in prepared(sorted(ids))
    }
    server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(*map(int, sys.argv[1:])))
