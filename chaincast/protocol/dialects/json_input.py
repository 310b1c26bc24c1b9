"""Parsing of a client's bytes to text or JSON: the checks that every dialect makes before it looks at the content."""

from __future__ import annotations

import orjson

from chaincast.errors import Code, RequestError

MAX_DEPTH = 32
"""Maximum levels of nesting in a message; the deepest documented message has five."""

_OPENING_BRACKETS, _CLOSING_BRACKETS, _QUOTE, _BACKSLASH = b"[{", b"]}", 0x22, 0x5C


def parse_text(body: bytes, max_bytes: int) -> str:
    """Return the text of a frame. Raises `RequestError`: TOO_LARGE or BAD_UTF8."""
    if len(body) > max_bytes:
        raise RequestError(Code.TOO_LARGE, f"message has {len(body)} bytes; at most {max_bytes}")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(
            Code.BAD_UTF8, f"message is not UTF-8: byte {error.start} is 0x{body[error.start]:02x}; send text frames"
        ) from None


def parse_object(body: bytes, max_bytes: int) -> dict[str, object]:
    """Return the JSON object in a frame.

    Raises `RequestError`: TOO_LARGE, BAD_UTF8, TOO_DEEP, BAD_JSON or BAD_MESSAGE.
    """
    text = parse_text(body, max_bytes)
    if depth_exceeds(body, MAX_DEPTH):
        raise RequestError(Code.TOO_DEEP, f"message is nested deeper than {MAX_DEPTH} levels")
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(Code.BAD_JSON, f"message is not JSON: {error}; it begins {text[:40]!r}") from None
    if not isinstance(message, dict):
        raise RequestError(Code.BAD_MESSAGE, f"message must be a JSON object, not {text[:40]!r}")
    return message


def depth_exceeds(body: bytes, limit: int) -> bool:
    """Return True if brackets outside strings nest deeper than `limit`.

    The time is linear in the length. A body with at most `limit` opening brackets, as nearly all are, is not scanned.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == _BACKSLASH:
                escaped = True
            elif byte == _QUOTE:
                in_string = False
        elif byte == _QUOTE:
            in_string = True
        elif byte in _OPENING_BRACKETS:
            depth += 1
            if depth > limit:
                return True
        elif byte in _CLOSING_BRACKETS:
            depth -= 1
    return False
