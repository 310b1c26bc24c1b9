"""Engine.IO protocol 4 over WebSocket: the frames that carry Socket.IO packets.

Source: the Engine.IO protocol, "Packet encoding" and "Heartbeat". Frames are text; a frame is one packet.
"""

from __future__ import annotations

from typing import Final

import orjson

PING_INTERVAL_MS: Final = 300_000
"""Interval of the server's pings, as the handshake announces it.

It is less than the ten minutes after which API Gateway closes an idle connection.
"""

PING_TIMEOUT_MS: Final = 250_000
"""Time after the interval by which a ping may be late before a client gives the connection up."""

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
"""First character of a frame: its type."""
BINARY: Final = "b"
"""First character of a frame with base64-encoded binary data."""

PING_FRAME: Final = b"2"

NOOP_FRAME: Final = b"6"
"""Frame without meaning, for commands that have no reply.

API Gateway replies to each message on a route that has replies: if a function returns no body, the client receives an
empty frame (serverless/serverless#6816), which Engine.IO treats as a fault that ends the session. MiniStack sends
nothing.
"""


def open_frame(sid: str, max_payload: int) -> bytes:
    """Return the handshake. It offers no upgrades, because the connection is a WebSocket already."""
    return b"0" + orjson.dumps(
        {
            "sid": sid,
            "upgrades": [],
            "pingInterval": PING_INTERVAL_MS,
            "pingTimeout": PING_TIMEOUT_MS,
            "maxPayload": max_payload,
        }
    )


def pong_frame(data: str) -> bytes:
    """Return the reply to a client's ping (a probe), with the data that the ping carried."""
    return b"3" + data.encode()
