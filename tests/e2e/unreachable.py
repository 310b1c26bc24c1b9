"""A proxy before the emulator that refuses every post to a connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler

from tests.serving import Answer, serving


@contextmanager
def unreachable(port: int, status: int = 503) -> Iterator[int]:
    """Run the proxy before the emulator on `port`, which responds `status` to posts. Yields the proxy's port."""

    def forward(request: BaseHTTPRequestHandler) -> Answer:
        emulator = HTTPConnection("127.0.0.1", port, timeout=120)
        emulator.request(request.command, request.path, headers=dict(request.headers.items()))
        response = emulator.getresponse()
        result = response.status, response.read()
        emulator.close()
        return result

    with serving(POST=lambda _: (status, b"{}"), DELETE=forward) as proxy_port:
        yield proxy_port
