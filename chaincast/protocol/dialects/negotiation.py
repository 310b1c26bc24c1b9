"""Negotiation of a connection's dialect: from its handshake, or from its first messages if the handshake is silent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from chaincast.errors import Code, RequestError
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.registry import DEFAULT
from chaincast.protocol.subprotocol import TOKEN_SUBPROTOCOL

_PREFIX = "chaincast."
"""Prefix of a subprotocol that names a dialect."""

_MAX_DETECTION_BYTES = 32_768
"""Maximum size of a message that is parsed to detect its dialect."""


@dataclass(frozen=True, slots=True)
class DialectChoice:
    """Result of the negotiation in a handshake."""

    dialect: str
    subprotocol: str | None = None
    """Subprotocol that the response must confirm, because a browser closes the connection otherwise."""
    undecided: bool = False
    """True if the handshake names no dialect; `detect_dialect` then examines the client's messages."""
    requires_join: bool = False
    """True if the connection is closed unless the client joins soon."""


def choose_dialect(query: Mapping[str, str], subprotocols: str) -> DialectChoice:
    """Return the dialect that a handshake asks for.

    The first of these decides: the query of an Engine.IO client, `?dialect=NAME`, a subprotocol `chaincast.NAME` in
    `Sec-WebSocket-Protocol`. Without any of them it is the default, undecided. Raises `RequestError` with
    UNKNOWN_DIALECT.
    """
    if "EIO" in query or "transport" in query:
        return _choose_engine_io(query)
    offered = [name.strip() for name in subprotocols.split(",") if name.strip()]
    confirmed = next((p for p in offered if p.startswith(_PREFIX) and not p.startswith(TOKEN_SUBPROTOCOL)), None)
    if confirmed is None and any(p.startswith(TOKEN_SUBPROTOCOL) for p in offered):
        # A browser requires that the server confirms one of its subprotocols, and a token must not be sent back.
        raise RequestError(
            Code.UNKNOWN_DIALECT,
            "Sec-WebSocket-Protocol names a token but no dialect: offer another, too, such as chaincast.v1",
        )
    if (name := query.get("dialect")) is not None:
        return DialectChoice(_known_dialect(name), confirmed)
    if confirmed is None:
        return DialectChoice(DEFAULT, undecided=True)
    name = confirmed if confirmed in registry.NAMES else confirmed.removeprefix(_PREFIX)
    return DialectChoice(_known_dialect(name), confirmed)


def detect_dialect(body: bytes) -> str | None:
    """Return the only dialect that a message can belong to; None if it fits several or none."""
    if len(body) > _MAX_DETECTION_BYTES:
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


def _choose_engine_io(query: Mapping[str, str]) -> DialectChoice:
    """Return the dialect of an Engine.IO client, which must ask for version 4, WebSocket and a new session."""
    for name, supported in (("EIO", "4"), ("transport", "websocket")):
        if (value := query.get(name)) != supported:
            given = "is missing" if value is None else f"is {value[:40]!r}"
            raise RequestError(Code.UNKNOWN_DIALECT, f"Engine.IO: {name} {given}; only {supported!r} is supported")
    if "sid" in query:
        raise RequestError(Code.UNKNOWN_DIALECT, "Engine.IO: sessions cannot be upgraded; connect without a sid")
    return DialectChoice("socketio", requires_join=True)


def _known_dialect(name: str) -> str:
    """Return the name. Raises `RequestError` if no dialect has it."""
    if name not in registry.NAMES:
        raise RequestError(Code.UNKNOWN_DIALECT, f"unknown dialect {name[:40]!r}; known: {', '.join(registry.NAMES)}")
    return name
