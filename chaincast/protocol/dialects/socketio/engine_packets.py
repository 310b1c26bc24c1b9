"""Engine.IO protocol 4 over WebSocket: the frames that Socket.IO travels in.

Source: the Engine.IO protocol, "Packet encoding" and "Heartbeat". Frames are text; a frame is one packet.
"""

from __future__ import annotations

from typing import Final

import orjson

PING_INTERVAL_MS: Final = 300_000
"""What clients are told of the heartbeat: how often it pings."""

PING_TIMEOUT_MS: Final = 250_000
"""How much later a ping may come before a client gives the connection up. With the interval less than ten minutes: by
then API Gateway has closed what is idle."""

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
BINARY: Final = "b"

PING_FRAME: Final = b"2"

NOOP_FRAME: Final = b"6"
"""What says nothing. API Gateway lets no message go unanswered on a route that has answers: where a function returns no
body, the client gets an empty frame (serverless/serverless#6816), which for Engine.IO is a fault that ends the session.
MiniStack sends nothing."""


def open_frame(sid: str, max_payload: int) -> bytes:
    """The handshake. There is nothing to upgrade to: this is WebSocket."""
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
    """The answer to a client's ping (a probe), with what came with it."""
    return b"3" + data.encode()
