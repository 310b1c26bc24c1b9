"""A stack that is protected as a public one should be, and clients with any address.

It accepts pages of one site and tokens of an issuer with public keys, has the default limits, and enforces IAM. Clients
can connect from all addresses of 127/8, because they belong to this machine.
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
from local.stack.local_stack import LocalStack, StackOptions
from tests.e2e.client import SECONDS, Client
from tests.e2e.leaks import find_leaks, register_secret
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
    """The stack, and the requests that its issuer received."""

    stack: LocalStack
    key_requests: list[str] = field(default_factory=list)
    """Paths of the requests for the issuer's keys."""
    latency: float = 0.0
    """Median time of a round trip before any attack, in ms."""
    _numbers: Iterator[int] = field(default_factory=count)

    def address(self) -> str:
        """Return an address of this machine that no client has used yet."""
        number = next(self._numbers)
        return f"127.1.{number // 250}.{number % 250 + 2}"

    def client(self, user: str = "ann", query: str = "", **options: Any) -> Client:
        """Return a legitimate client: from a page of the site, with a valid token, from a new address."""
        return Client(self.stack.outputs.websocket_url + query, **self._options(bearer(token(user)), options))

    @contextmanager
    def connected_client(self) -> Iterator[Socket]:
        """Yield the connection of a legitimate client that has received its greeting."""
        options = self._options(bearer(token("bystander")), {})
        options["source_address"] = options.pop("local_addr")
        with connect_now(self.stack.outputs.websocket_url, open_timeout=SECONDS, **options) as socket:
            assert json.loads(socket.recv(SECONDS))["type"] == "connected"
            yield socket

    def socket(self, user: str, query: str) -> connect:
        """Return a connection of a legitimate client without the handling of messages."""
        return connect(self.stack.outputs.websocket_url + query, **self._options(bearer(token(user)), {}))

    async def status(self, headers: dict[str, str] | None = None, query: str = "", **options: Any) -> int:
        """Return the HTTP status of a handshake: 101 if it is accepted."""
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
    """Return a valid token, signed by the issuer."""
    return register_secret(test_keys.token("r", sub=user, **claims))


def bearer(value: str) -> dict[str, str]:
    """Return the headers that carry a token."""
    return {"Authorization": f"Bearer {value}"}


@contextmanager
def guarded() -> Iterator[Guarded]:
    """Run the stack."""
    key_requests: list[str] = []
    with _issuer(key_requests) as url:
        project_config = (ROOT / "chaincast.toml").read_text()
        config = BUILD / f"guarded-{free_port()}.toml"
        begin, end = project_config.index("[auth]"), project_config.index("[fanout]")
        without_auth = project_config[:begin] + project_config[end:]
        assert without_auth.count('exempt_ips = ["127.0.0.0/8"]') == 1
        config.write_text(
            without_auth.replace('exempt_ips = ["127.0.0.0/8"]', "exempt_ips = []") + CONFIG.format(issuer=url)
        )
        options = StackOptions(
            port=free_port(), node_port=free_port(), enforce_iam=True, block_time=None, seed=None, config=config
        )
        try:
            with LocalStack(options) as running:
                yield Guarded(running, key_requests)
                assert find_leaks(running) == []
        finally:
            config.unlink()


@contextmanager
def _issuer(key_requests: list[str]) -> Iterator[str]:
    """Serve the public keys of valid tokens, and record the requests. Yields the URL."""

    def keys(request: BaseHTTPRequestHandler) -> Answer:
        key_requests.append(request.path)
        return 200, json.dumps({"keys": test_keys.ALL}).encode()

    with serving(GET=keys) as port:
        yield f"http://127.0.0.1:{port}/keys"
