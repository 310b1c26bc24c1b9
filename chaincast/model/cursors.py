"""Cursors and positions: the two orderings of DESIGN 2, as fixed-width strings that sort like numbers."""

from __future__ import annotations

from chaincast.errors import CodecError

CURSOR_DIGITS = 12
ORIGIN = 0
"""Sequence number before the first batch of a source: what a client has that has nothing yet."""

POSITION = r"^\d{12}\.\d{6}\.\d{2}$"
"""What a position looks like."""

_MAX_SEQ = 10**CURSOR_DIGITS - 1


def format_cursor(seq: int) -> str:
    """A batch's sequence number (0 … 10¹²-1) as its cursor, e.g. `000000000042`."""
    if not 0 <= seq <= _MAX_SEQ:
        raise ValueError(f"cursor {seq} is outside 0…{_MAX_SEQ}")
    return f"{seq:0{CURSOR_DIGITS}d}"


def parse_cursor(cursor: str) -> int:
    """The sequence number of a cursor. Raises `CodecError` when it is not twelve decimal digits."""
    if len(cursor) != CURSOR_DIGITS or not (cursor.isascii() and cursor.isdigit()):
        raise CodecError(f"{cursor[:40]!r} is no cursor: a cursor is {CURSOR_DIGITS} decimal digits")
    return int(cursor)


def format_position(block: int, log_index: int, n: int = 0) -> str:
    """An event's place on its chain: block, index of the log in it, number of the event derived from that log."""
    return f"{block:012d}.{log_index:06d}.{n:02d}"
