"""Opening connections: in clear by the loop itself, over TLS by aiofastnet where it is there.

aiofastnet's TLS transports take two thirds of the CPU of uvloop's (benchmarks/posting.py); uvloop's own are the
fallback where its wheel is missing, and by `CHAINCAST_TLS=loop`, should it ever misbehave.
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
    """A connected protocol made by `make`. Raises OSError, `ssl.SSLError` (an OSError too) or TimeoutError."""
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
    """aiofastnet's `create_connection`, or None where there is none or it is switched off."""
    if os.environ.get(SWITCH) == "loop":
        return None
    try:
        import aiofastnet  # only where there is TLS: 20 ms of a cold start
    except ImportError:
        return None
    return cast(Opener, aiofastnet.create_connection)


@cache
def _context() -> ssl.SSLContext:
    """Verifies against the system's authorities, or those of AWS_CA_BUNDLE, as boto3 does."""
    return ssl.create_default_context(cafile=os.environ.get("AWS_CA_BUNDLE"))
