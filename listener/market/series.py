"""The minutes of one token: number of trades, volume and closing price, with sums over rolling windows.

Minutes are packed into *chunks* of half an hour. A rolling window passes over the chunks once, so that a minute is
decoded once per window, whatever the window's length. Chunks that no window needs can be evicted (None takes their
place); they are requested when the window of a day reaches them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

CHUNK_MINUTES = 30
"""Minutes per chunk: long enough for few writes (one unit each), short enough for little memory."""

DAY = 24 * 60


class Minute(NamedTuple):
    """One minute of trades. `close`: the price at its end, or None."""

    number: int
    trades: int
    volume: int
    close: Decimal | None


class RollingWindow(NamedTuple):
    """A window over the newest `minutes`, up to and without the current one, which is not in a chunk yet.

    `slot`, `offset`: chunk and byte of its oldest minute. `before`: the price when it began, or None.
    """

    minutes: int
    slot: int
    offset: int
    trades: int
    volume: int
    before: Decimal | None


def pack(minute: Minute) -> bytes:
    """Return the packed bytes of a minute. The number of its chunk is not included."""
    packed = bytearray()
    _, digits, exponent = minute.close.as_tuple() if minute.close is not None else (0, (), 0)
    assert isinstance(exponent, int)
    coefficient = int("".join(map(str, digits))) if digits else 0
    # A price is never 0, so that the coefficient 0 stands for None.
    zigzag = exponent * 2 if exponent >= 0 else -exponent * 2 - 1
    for value in (minute.number % CHUNK_MINUTES, minute.trades, minute.volume, coefficient, zigzag):
        while value > 0x7F:
            packed.append(value & 0x7F | 0x80)
            value >>= 7  # noqa: PLW2901 - the loop consumes its value
        packed.append(value)
    return bytes(packed)


def unpack(chunk: bytes, offset: int, slot: int) -> tuple[Minute, int]:
    """Return the minute at `offset`, and the offset of the next."""
    values = []
    for _ in range(5):
        value = shift = 0
        while (byte := chunk[offset]) > 0x7F:
            value |= (byte & 0x7F) << shift
            shift += 7
            offset += 1
        values.append(value | byte << shift)
        offset += 1
    number, count, volume, coefficient, zigzag = values
    exponent = -(zigzag + 1 >> 1) if zigzag & 1 else zigzag >> 1
    close = Decimal(coefficient).scaleb(exponent) if coefficient else None
    return Minute(slot * CHUNK_MINUTES + number, count, volume, close), offset


class Series:
    """Minutes up to the current one. Clones share their chunks, so that `clone` is cheap."""

    __slots__ = ("chunks", "close", "count", "evicted_to", "first", "minute", "opened", "touched", "volume", "windows")

    def __init__(self, lengths: tuple[int, ...]) -> None:
        """Create a series with windows of a day and of `lengths` (minutes). It begins with the first `advance`."""
        self.minute = -1
        self.count = self.volume = 0
        self.close: Decimal | None = None
        self.opened: Decimal | None = None
        """First price of the series."""
        self.touched = False
        self.evicted_to = 0
        """Chunks before this one are stored."""
        self.first = 0
        """Number of the first chunk in `chunks`; the last is the current one."""
        self.chunks: tuple[bytes | None, ...] = (b"",)
        self.windows = tuple(RollingWindow(length, 0, 0, 0, 0, None) for length in (DAY, *lengths))

    def clone(self) -> Series:
        other = Series.__new__(Series)
        other.minute, other.count, other.volume = self.minute, self.count, self.volume
        other.close, other.opened, other.touched = self.close, self.opened, self.touched
        other.evicted_to, other.first, other.chunks, other.windows = (
            self.evicted_to,
            self.first,
            self.chunks,
            self.windows,
        )
        return other

    def add(self, count: int, volume: int, close: Decimal | None) -> None:
        """Add trades to the current minute. `close`: the price after them."""
        self.count += count
        self.volume += volume
        self.close = close
        self.touched = True
        if self.opened is None:
            self.opened = close

    def volume_of(self, window: int) -> int:
        """Return the volume of a window, including the current minute."""
        return self.windows[window].volume + self.volume

    def count_of(self, window: int) -> int:
        return self.windows[window].trades + self.count

    def before(self, window: int) -> Decimal | None:
        """Return the price at the start of a window; in a younger series, its first price."""
        return self.windows[window].before or self.opened

    def missing(self, minute: int) -> list[int]:
        """Return the chunks that must be restored before `advance(minute)`."""
        limit = minute - DAY
        if self.minute <= limit:
            return []  # all chunks are too old
        begin = self.windows[0].slot
        return [slot for slot in range(begin, limit // CHUNK_MINUTES + 1) if self.chunks[slot - self.first] is None]

    def restore_chunk(self, slot: int, chunk: bytes) -> None:
        """Restore an evicted chunk."""
        place = slot - self.first
        self.chunks = (*self.chunks[:place], chunk, *self.chunks[place + 1 :])

    def closed_chunks(self) -> Iterator[tuple[int, bytes]]:
        """Yield the complete chunks that no short window needs and that are not stored yet."""
        newest = (
            min(window.slot for window in self.windows[1:]) if len(self.windows) > 1 else self.minute // CHUNK_MINUTES
        )
        for slot in range(max(self.evicted_to, self.first), newest):
            if chunk := self.chunks[slot - self.first]:
                yield slot, chunk

    def evict(self, to: int) -> None:
        """Evict chunks up to `to`, which are all stored, except the one that the longest window is in."""
        oldest = self.windows[0].slot
        self.evicted_to = max(self.evicted_to, to + 1)
        self.chunks = tuple(
            None if chunk and oldest < slot < self.evicted_to else chunk
            for slot, chunk in enumerate(self.chunks, self.first)
        )

    def advance(self, minute: int) -> None:
        """Advance to a minute. An earlier minute changes nothing: a chain's clock may stand still."""
        if minute <= self.minute:
            return
        if self.minute < 0:
            self.minute, self.first = minute, minute // CHUNK_MINUTES
            self.windows = tuple(window._replace(slot=self.first) for window in self.windows)
            return
        former, last_close = self.minute, self.close
        if self.touched:
            packed = pack(Minute(former, self.count, self.volume, self.close))
            assert self.chunks[-1] is not None
            self.chunks = (*self.chunks[:-1], self.chunks[-1] + packed)
            count, volume = self.count, self.volume
            self.windows = tuple(t._replace(trades=t.trades + count, volume=t.volume + volume) for t in self.windows)
        self.minute, self.count, self.volume, self.touched = minute, 0, 0, False
        slot = minute // CHUNK_MINUTES
        if minute - former >= DAY:
            self.first, self.chunks = slot, (b"",)
        else:
            self.chunks += (b"",) * (slot - former // CHUNK_MINUTES)
        end = len(self.chunks[-1] or b"")
        self.windows = tuple(
            RollingWindow(t.minutes, slot, end, 0, 0, last_close)
            if former <= minute - t.minutes
            else self._moved(t, minute)
            for t in self.windows
        )
        oldest = self.windows[0].slot
        self.first, self.chunks = oldest, self.chunks[oldest - self.first :]

    def _moved(self, window: RollingWindow, minute: int) -> RollingWindow:
        """Return the window without the minutes that are too old."""
        limit, slot, offset = minute - window.minutes, window.slot, window.offset
        count, volume, before = window.trades, window.volume, window.before
        while slot * CHUNK_MINUTES <= limit:
            chunk = self.chunks[slot - self.first]
            assert chunk is not None, "an evicted chunk was not restored"
            while offset < len(chunk):
                oldest, behind = unpack(chunk, offset, slot)
                if oldest.number > limit:
                    return RollingWindow(window.minutes, slot, offset, count, volume, before)
                count -= oldest.trades
                volume -= oldest.volume
                before, offset = oldest.close, behind
            if slot == minute // CHUNK_MINUTES:
                break
            slot, offset = slot + 1, 0
        return RollingWindow(window.minutes, slot, offset, count, volume, before)
