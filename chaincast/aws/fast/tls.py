"""Opens connections: without TLS through the event loop, with TLS through aiofastnet if it is installed.

aiofastnet's TLS transports need two thirds of the CPU of uvloop's (benchmarks/posting.py). uvloop's own are used where
aiofastnet has no wheel, or if `CHAINCAST_TLS` is `loop`, in case aiofastnet causes problems.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeAlias, TypeVar, cast

SWITCH = "CHAINCAST_TLS"

P = TypeVar("P", bound=asyncio.Protocol)
Opener: TypeAlias = Callable[..., Awaitable[tuple[asyncio.BaseTransport, asyncio.Protocol]]]


async def open_connection(make: Callable[[], P], host: str, port: int, *, tls: bool) -> P:
    """Open a connection and return its protocol, which `make` creates.

    Raise `OSError` (`ssl.SSLError` is a subclass) or `TimeoutError` on failure.
    """
    loop = asyncio.get_running_loop()
    if not tls:
        _, protocol = await loop.create_connection(make, host, port)
        return protocol
    opener = fast_opener()
    if opener is None:
        _, protocol = await loop.create_connection(make, host, port, ssl=_context())
        return protocol
    _, fast = await opener(loop, make, host, port, ssl=_context())
    return cast(P, fast)


@cache
def fast_opener() -> Opener | None:
    """Return aiofastnet's `create_connection`, or None if it is not installed or is switched off."""
    if os.environ.get(SWITCH) == "loop":
        return None
    try:
        import aiofastnet  # only where there is TLS: 20 ms of a cold start
    except ImportError:
        return None
    return cast(Opener, aiofastnet.create_connection)


@cache
def _context() -> ssl.SSLContext:
    """Return a context that verifies against the system's authorities or, as boto3 does, those of `AWS_CA_BUNDLE`."""
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
