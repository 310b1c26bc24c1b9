"""A server on loopback that plays API Gateway's `@connections` and DynamoDB's Query, and fails as a test tells it."""

from __future__ import annotations

import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from chaincast.aws import clients


class ScriptedServer:
    """`posts` is what each connection was sent, in order. `script` says how the next requests are answered."""

    def __init__(self) -> None:
        self.posts: dict[str, list[bytes]] = defaultdict(list)
        self.script: dict[str, deque[int | str]] = defaultdict(deque)
        """By connection id (or "query"): an HTTP status, or "drop" (before reading), "drop-after" (body read)."""
        self.requests = 0
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.sockets: list[socket.socket] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        serve = partial(self._server.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def drop_idle(self) -> None:
        """Close every kept-alive connection, as a gateway does behind a frozen sandbox's back."""
        for kept in self.sockets:
            try:
                kept.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.sockets.clear()


def _handler(script: ScriptedServer) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            script.connections += 1
            script.sockets.append(self.connection)

        def do_POST(self) -> None:
            script.requests += 1
            target = self.headers.get("X-Amz-Target", "")
            name = "query" if target.endswith(".Query") else unquote(self.path.rpartition("/")[2])
            step = script.script[name].popleft() if script.script[name] else 200
            if step == "drop":
                self._abort()
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if step == "drop-after":
                if name != "query":
                    script.posts[name].append(body)
                self._abort()
                return
            assert isinstance(step, int)
            answer = b""
            if name == "query":
                answer = _query(json.loads(body)) if step == 200 else b'{"__type":"x#ProvisionedThroughputExceeded"}'
            elif step == 200:
                script.posts[name].append(body)
            self.send_response(step)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def _abort(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


def _query(parameters: dict[str, Any]) -> bytes:
    """DynamoDB's answer, from moto's table."""
    page = clients.dynamodb().query(**parameters)
    kept = {name: page[name] for name in ("Items", "LastEvaluatedKey") if name in page}
    return json.dumps(kept).encode()
