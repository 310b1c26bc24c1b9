"""An API whose connections cannot be reached: every post is answered by 503, all else is the emulator's answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler

from tests.serving import Answer, serving


@contextmanager
def unreachable(port: int) -> Iterator[int]:
    """Its port, while it stands before the emulator's."""

    def ask_behind(request: BaseHTTPRequestHandler) -> Answer:
        behind = HTTPConnection("127.0.0.1", port, timeout=30)
        behind.request(request.command, request.path, headers=dict(request.headers.items()))
        answer = behind.getresponse()
        told = answer.status, answer.read()
        behind.close()
        return told

    with serving(POST=lambda _: (503, b"{}"), DELETE=ask_behind) as own:
        yield own
