"""An API whose connections cannot be reached: every post is answered by 503, all else is the emulator's answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def unreachable(port: int) -> Iterator[int]:
    """Its port, while it stands before the emulator's."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self._answer(503, b"{}")

        def do_DELETE(self) -> None:
            behind = HTTPConnection("127.0.0.1", port, timeout=30)
            behind.request("DELETE", self.path, headers=dict(self.headers.items()))
            answer = behind.getresponse()
            self._answer(answer.status, answer.read())
            behind.close()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name in the base class
            """Not into the tests' output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
