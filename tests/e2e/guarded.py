"""A stack that is guarded as a public one should be, with IAM enforced: pages of one site, tokens of an issuer with
keys, the limits of the README; and clients that come from wherever a test wants them to (all of 127/8 is this machine).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection as Socket
from websockets.sync.client import connect as connect_now
from websockets.typing import Origin

from local.stack.checkout import BUILD, ROOT, free_port
from local.stack.local_stack import LocalStack, Options
from tests.e2e.client import SECONDS, Client
from tests.e2e.leaks import leaks, used
from tests.serving import Answer, serving
from tests.unit.auth import test_jwks as test_keys

PAGE = "https://app.example"
CONFIG = """
[access]
origins = ["https://app.example", "https://*.app.example"]
deny_ips = ["127.66.0.0/16"]

[topics.premium]
topics = ["price:GOLD"]
claim = "plan"
values = ["pro"]

[auth]
mode = "required"
jwks_url = "{issuer}"
issuer = "https://issuer.example"
audience = ["app"]
"""


@dataclass(slots=True)
class Guarded:
    """The stack, and how often its issuer was asked for its keys."""

    stack: LocalStack
    asked: list[str] = field(default_factory=list)
    latency: float = 0.0
    """Of a round trip before any attack, in ms."""
    _numbers: Iterator[int] = field(default_factory=count)

    def address(self) -> str:
        """One of this machine's that nobody came from yet."""
        number = next(self._numbers)
        return f"127.1.{number // 250}.{number % 250 + 2}"

    def client(self, user: str = "ann", query: str = "", **options: Any) -> Client:
        """One who behaves: from a page of the site, with a good token, from an address of his own."""
        return Client(self.stack.outputs.websocket_url + query, **self._options(bearer(token(user)), options))

    @contextmanager
    def behaving(self) -> Iterator[Socket]:
        """One who behaves, greeted."""
        options = self._options(bearer(token("bystander")), {})
        options["source_address"] = options.pop("local_addr")
        with connect_now(self.stack.outputs.websocket_url, open_timeout=SECONDS, **options) as socket:
            assert json.loads(socket.recv(SECONDS))["type"] == "connected"
            yield socket

    def socket(self, user: str, query: str) -> connect:
        """A bare connection of one who behaves."""
        return connect(self.stack.outputs.websocket_url + query, **self._options(bearer(token(user)), {}))

    async def status(self, headers: dict[str, str] | None = None, query: str = "", **options: Any) -> int:
        """What a handshake is answered: 101 if it is let in."""
        url = self.stack.outputs.websocket_url + query
        try:
            async with connect(url, open_timeout=SECONDS, **self._options(headers, options)):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    def _options(self, headers: dict[str, str] | None, options: dict[str, Any]) -> dict[str, Any]:
        defaults = {
            "origin": Origin(PAGE),
            "local_addr": (self.address(), 0),
            "additional_headers": headers or {},
        }
        return defaults | options


def token(user: str, **claims: Any) -> str:
    """A good one, as the issuer signs it."""
    return used(test_keys.token("r", sub=user, **claims))


def bearer(shown: str) -> dict[str, str]:
    """The headers that carry a token."""
    return {"Authorization": f"Bearer {shown}"}


@contextmanager
def guarded() -> Iterator[Guarded]:
    """The stack, while it runs."""
    asked: list[str] = []
    with _issuer(asked) as url:
        ours = (ROOT / "chaincast.toml").read_text()
        config = BUILD / f"guarded-{free_port()}.toml"
        begin, end = ours.index("[auth]"), ours.index("[fanout]")
        kept = ours[:begin] + ours[end:]
        assert kept.count('exempt_ips = ["127.0.0.0/8"]') == 1
        config.write_text(kept.replace('exempt_ips = ["127.0.0.0/8"]', "exempt_ips = []") + CONFIG.format(issuer=url))
        options = Options(
            port=free_port(), node_port=free_port(), enforce_iam=True, block_time=None, seed=None, config=config
        )
        try:
            with LocalStack(options) as running:
                yield Guarded(running, asked)
                assert leaks(running) == []
        finally:
            config.unlink()


@contextmanager
def _issuer(asked: list[str]) -> Iterator[str]:
    """Serves the keys of good tokens; notes who asks."""

    def keys(request: BaseHTTPRequestHandler) -> Answer:
        asked.append(request.path)
        return 200, json.dumps({"keys": test_keys.ALL}).encode()

    with serving(GET=keys) as port:
        yield f"http://127.0.0.1:{port}/keys"
