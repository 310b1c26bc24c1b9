"""Names of WebSocket subprotocols that carry meaning (RFC 6455, 1.9)."""

from __future__ import annotations

TOKEN_SUBPROTOCOL = "chaincast.token."  # noqa: S105 - a prefix, not a token
"""Prefix of a subprotocol that carries a token, because a browser's WebSocket cannot set request headers."""
