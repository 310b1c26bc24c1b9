"""Which dialect a connection speaks, from its handshake (DESIGN 5).

What a client speaks that did not say: its messages show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from chaincast.errors import ClientError, Code
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.registry import DEFAULT
from chaincast.protocol.subprotocol import TOKEN_SUBPROTOCOL

_PREFIX = "chaincast."


@dataclass(frozen=True, slots=True)
class DialectChoice:
    """The dialect, and the subprotocol to confirm if the client asked by one (a browser insists on it)."""

    dialect: str
    subprotocol: str | None = None
    undecided: bool = False
    """The client did not say: its messages will."""
    requires_join: bool = False
    """It must join, and soon."""


def choose_dialect(query: Mapping[str, str], subprotocols: str) -> DialectChoice:
    """By an Engine.IO client's query, by `?dialect=`, by a `Sec-WebSocket-Protocol` of `chaincast.NAME`; else the
    default.

    Raises `ClientError` with `UNKNOWN_DIALECT` where the client asks for something that there is not.
    """
    if "EIO" in query or "transport" in query:
        return _engine_io(query)
    offered = [p.strip() for p in subprotocols.split(",") if p.strip()]
    ours = next((p for p in offered if p.startswith(_PREFIX) and not p.startswith(TOKEN_SUBPROTOCOL)), None)
    if ours is None and any(p.startswith(TOKEN_SUBPROTOCOL) for p in offered):
        # A browser wants one of what it offers confirmed, and a token is not to be said back.
        raise ClientError(
            Code.UNKNOWN_DIALECT, "a token as a subprotocol needs a dialect beside it: offer another, too"
        )
    if (name := query.get("dialect")) is not None:
        return DialectChoice(_known(name), ours)
    if ours is None:
        return DialectChoice(registry.DEFAULT, undecided=True)
    short = ours.removeprefix(_PREFIX)
    return DialectChoice(_known(ours if ours in registry.NAMES else short), ours)


def _known(name: str) -> str:
    if name not in registry.NAMES:
        raise ClientError(Code.UNKNOWN_DIALECT, f"unknown dialect {name[:40]!r}; known: {', '.join(registry.NAMES)}")
    return name


def _engine_io(query: Mapping[str, str]) -> DialectChoice:
    """Protocol 4 over WebSocket, from the beginning: there are no sessions to upgrade."""
    for name, right in (("EIO", "4"), ("transport", "websocket")):
        if (value := query.get(name)) != right:
            given = "is missing" if value is None else f"is {value[:40]!r}"
            raise ClientError(Code.UNKNOWN_DIALECT, f"Engine.IO: {name} {given}; only {right!r} is served")
    if "sid" in query:
        raise ClientError(Code.UNKNOWN_DIALECT, "Engine.IO: there is no session to upgrade; connect without a sid")
    return DialectChoice("socketio", requires_join=True)


_LONGEST = 32_768


def detect_dialect(body: bytes) -> str | None:
    """The dialect that a message can only be of; None where it may be of several, or of none."""
    if len(body) > _LONGEST:
        return None
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("data"), dict) and "timestamp" in document:
        return "moonx"
    if "channel" in document:
        return "coremem"
    if "topics" in document or "what" in document:
        return DEFAULT
    return None
