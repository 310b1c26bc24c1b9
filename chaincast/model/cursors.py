"""Cursors order the batches of a source, positions the events of a chain. Both are strings that sort like numbers."""

from __future__ import annotations

from chaincast.errors import CodecError

CURSOR_DIGITS = 12
ORIGIN = 0
"""Sequence number before the first batch of a source. Clients that resume from it receive the whole event log."""

POSITION = r"^\d{12}\.\d{6}\.\d{2}$"
"""Pattern of a position: block number, log index, index of the event derived from that log."""

_MAX_SEQ = 10**CURSOR_DIGITS - 1


def format_cursor(seq: int) -> str:
    """Return the cursor of a sequence number (0 … 10¹²-1), for example `000000000042`."""
    if not 0 <= seq <= _MAX_SEQ:
        raise ValueError(f"sequence number {seq}: not within 0…{_MAX_SEQ}")
    return f"{seq:0{CURSOR_DIGITS}d}"


def parse_cursor(cursor: str) -> int:
    """Return the sequence number of a cursor. Raise `CodecError` unless it is twelve decimal digits."""
    if len(cursor) != CURSOR_DIGITS or not (cursor.isascii() and cursor.isdigit()):
        raise CodecError(f"{cursor[:40]!r} is not a cursor: a cursor is {CURSOR_DIGITS} decimal digits")
    return int(cursor)


def format_position(block: int, log_index: int, n: int = 0) -> str:
    """Return the position of an event on its chain. `n`: index of the event among those derived from one log."""
    return f"{block:012d}.{log_index:06d}.{n:02d}"
