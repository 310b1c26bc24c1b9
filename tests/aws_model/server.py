"""The model behind one HTTP server: tables, a gateway and a queue, each under its service's protocol.

It is a process of its own, which a test controls with `POST /model` (deployment.py).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, TypeAlias, cast
from urllib.parse import unquote

import httptools
import orjson
import uvloop

from chaincast.aws import environment
from tests.aws_model.gateway import Gateway
from tests.aws_model.queues import Queue
from tests.aws_model.setting import Setting
from tests.aws_model.tables import Table, Tables
from tests.lambda_functions import TABLES

Controls: TypeAlias = Mapping[str, Callable[..., Any]]

TABLE_VARIABLES = {
    "connections": environment.CONNECTIONS,
    "subscriptions": environment.SUBSCRIPTIONS,
    "log": environment.LOG,
    "state": environment.STATE,
}
"""The tables that fan-out and replay use: name in the model, and the functions' variable with the name."""

_REASONS = {200: b"OK", 204: b"No Content", 400: b"Bad Request", 410: b"Gone", 429: b"Too Many Requests"}


class Model:
    """All services. `clock`: seconds of a monotonic clock."""

    def __init__(self, clock: Callable[[], float] = monotonic, *, limited: bool = True, rate: float = 1e9) -> None:
        keys = {name: TABLES[variable] for name, variable in TABLE_VARIABLES.items()}
        tables = {name: Table(partition, sort or "") for name, (partition, sort) in keys.items()}
        self.tables = Tables(tables, clock, limited=limited)
        self.received: dict[str, list[tuple[float, int, int]]] = {}
        """Time, cursor and number of events of the messages of each connection."""
        self.watched: dict[str, list[bytes]] = {}
        """The messages of some connections."""
        self.queue = Queue(clock)
        self.clock = clock
        self.gateway = Gateway(clock, rate, rate, on_message=self._receive)
        self.controls: Controls = Setting(self).controls

    def _receive(self, connection_id: str, at: float, body: bytes) -> None:
        if (messages := self.watched.get(connection_id)) is not None:
            messages.append(body)
        start = body.find(b'"cursor":"') + 10
        cursor = int(body[start : start + 12]) if start > 9 else -1
        self.received.setdefault(connection_id, []).append((at, cursor, body.count(b'"id":')))

    def respond(self, method: str, path: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the response to a request."""
        if "/@connections/" in path:
            return self.gateway.request(method, unquote(path.rpartition("/")[2]), body), b""
        if path == "/model":
            call = orjson.loads(body)
            return 200, orjson.dumps(self.controls[call.pop("call")](**call))
        service, _, operation = target.partition(".")
        if service == "AmazonSQS":
            return 200, orjson.dumps(self.queue.respond(operation, orjson.loads(body)))
        status, document = self.tables.respond(operation, orjson.loads(body))
        return status, orjson.dumps(document)


class _Connection(asyncio.Protocol):
    def __init__(self, model: Model) -> None:
        self._model = model

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._parser = httptools.HttpRequestParser(self)
        self._path = self._target = ""
        self._body: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._path, self._target = url.decode(), ""

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-amz-target":
            self._target = value.decode()

    def on_body(self, data: bytes) -> None:
        self._body.append(data)

    def on_message_complete(self) -> None:
        body = b"".join(self._body)
        self._body.clear()
        method = self._parser.get_method().decode()
        status, answer = self._model.respond(method, self._path, self._target, body)
        reason = _REASONS.get(status, b"X")
        self._transport.write(b"HTTP/1.1 %d %b\r\ncontent-length: %d\r\n\r\n%b" % (status, reason, len(answer), answer))


async def serve(model: Model, port: int) -> asyncio.Server:
    """Listen on loopback."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: _Connection(model), "127.0.0.1", port)


def main() -> None:
    """Run a model as a process of its own: `python -m tests.aws_model.server PORT`."""

    async def run() -> None:
        server = await serve(Model(), int(sys.argv[1]))
        await server.serve_forever()

    uvloop.run(run())


if __name__ == "__main__":
    main()
