"""What a client speaks that did not say: its messages show."""

from __future__ import annotations

import orjson

from chaincast.dialects import DEFAULT

_LONGEST = 32_768


def recognized(body: bytes) -> str | None:
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
