"""A server on loopback: API Gateway's `@connections`, DynamoDB and SQS, with failures that a test scripts."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

from botocore.exceptions import ClientError as AwsError

from chaincast.aws import boto_clients


class ScriptedServer:
    """`posts` is what each connection was sent, in order. `script` says how the next requests are answered."""

    def __init__(self, certificate: Path | None = None) -> None:
        """Over TLS, if a folder with `certificate.pem` and `key.pem` is given."""
        self.posts: dict[str, list[bytes]] = defaultdict(list)
        self.script: dict[str, deque[int | str]] = defaultdict(deque)
        """By connection id (or DynamoDB operation): an HTTP status, or "drop" (before reading), "drop-after" (body
        read), "half-close" (body read, no answer, the other direction stays open), "stall" (no answer at all)."""
        self.page_size: int | None = None
        """Items that a Query gives at once."""
        self.before: dict[str, Callable[[], object]] = {}
        """By DynamoDB operation: what happens just before the next one."""
        self.deleted: list[str] = []
        """Connections that were closed."""
        self.answers: dict[str, bytes] = {}
        """By connection id: the body of the answer."""
        self.posted = threading.Event()
        self.released = threading.Event()
        """Ends what stalls."""
        self.requests = 0
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.sockets: list[socket.socket] = []
        self._scheme = "http"
        if certificate is not None:
            self._scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate / "certificate.pem", certificate / "key.pem")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        serve = partial(self._server.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
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
            operation = target.rpartition(".")[2]
            name = operation or unquote(self.path.rpartition("/")[2])
            step = script.script[name].popleft() if script.script[name] else 200
            if step == "drop":
                self._abort()
                return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if isinstance(step, str):
                if not operation:
                    script.posts[name].append(body)
                self._abort(step)
                return
            answer = b""
            if operation:
                if (first := script.before.pop(operation, None)) is not None:
                    first()
                step, answer = (
                    database_response(operation, json.loads(body), script.page_size)
                    if step == 200
                    else (step, b'{"__type":"x#ProvisionedThroughputExceededException"}')
                )
            elif step == 200:
                script.posts[name].append(body)
                script.posted.set()
                answer = script.answers.get(name, b"")
            self.send_response(step)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_DELETE(self) -> None:
            script.deleted.append(unquote(self.path.rpartition("/")[2]))
            self.send_response(204)
            self.end_headers()

        def _abort(self, how: str = "drop") -> None:
            self.close_connection = True
            if how == "stall":
                script.released.wait(30)
            elif how == "half-close":
                self.connection.shutdown(socket.SHUT_WR)
                script.released.wait(30)
            else:
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *args: Any) -> None:
            pass

    return Handler


def database_response(operation: str, parameters: dict[str, Any], page_size: int | None) -> tuple[int, bytes]:
    """Return the response of DynamoDB or SQS to an operation, from moto's table or queue."""
    try:
        if operation == "Query":
            if page_size is not None:
                parameters["Limit"] = page_size
            answer: Mapping[str, Any] = boto_clients.dynamodb().query(**parameters)
        elif operation == "SendMessageBatch":
            answer = boto_clients.sqs().send_message_batch(**parameters)
        else:
            answer = boto_clients.dynamodb().update_item(**parameters)
    except AwsError as error:
        refusal = {"__type": f"x#{error.response['Error']['Code']}", "Item": error.response.get("Item")}
        return 400, json.dumps(refusal).encode()
    kept = {name: answer[name] for name in ("Items", "LastEvaluatedKey", "Successful") if name in answer}
    return 200, json.dumps(kept).encode()
