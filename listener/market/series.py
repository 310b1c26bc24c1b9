"""A token's minutes: how often it was traded, for how much, what it cost at the end of each; sums over the newest.

Minutes are kept packed, those of half an hour (a *slot*) in a *chunk*. A *tail* is a window over the newest minutes: it
goes through the chunks once, from end to end, as time goes on, so that a minute is decoded once per tail however long
the window is. Chunks that no tail is in may be put away (None in their place); they are asked for when the day's tail
comes to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

SLOT = 30
"""Minutes in a chunk: long enough for few writes (one unit each), short enough for little memory."""

DAY = 24 * 60


class Minute(NamedTuple):
    """What one minute brought. `close`: the price at its end, None while there is none."""

    number: int
    trades: int
    volume: int
    close: Decimal | None


class Tail(NamedTuple):
    """A window over the newest `minutes`; up to (not with) the current one, whose figures are not in a chunk yet.

    `slot` and `offset`: where its oldest minute is. `before`: the price when it began, None if there was none.
    """

    minutes: int
    slot: int
    offset: int
    trades: int
    volume: int
    before: Decimal | None


def pack(minute: Minute) -> bytes:
    """A minute's figures; its slot is the chunk's."""
    packed = bytearray()
    _, digits, exponent = minute.close.as_tuple() if minute.close is not None else (0, (), 0)
    assert isinstance(exponent, int)
    coefficient = int("".join(map(str, digits))) if digits else 0
    # A price is never 0: with no tokens there is none.
    zigzag = exponent * 2 if exponent >= 0 else -exponent * 2 - 1
    for value in (minute.number % SLOT, minute.trades, minute.volume, coefficient, zigzag):
        while value > 0x7F:
            packed.append(value & 0x7F | 0x80)
            value >>= 7  # noqa: PLW2901 - the loop eats its value
        packed.append(value)
    return bytes(packed)


def unpack(chunk: bytes, offset: int, slot: int) -> tuple[Minute, int]:
    """The minute that begins at `offset`, and where the next does."""
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
    return Minute(slot * SLOT + number, count, volume, close), offset


class Series:
    """Minutes up to a current one. Copies share what they have in common: `clone` is cheap."""

    __slots__ = ("away_to", "chunks", "close", "count", "first", "minute", "opened", "tails", "touched", "volume")

    def __init__(self, lengths: tuple[int, ...]) -> None:
        """Of the day and windows of these `lengths` (minutes). It begins with the first `advance`."""
        self.minute = -1
        self.count = self.volume = 0
        self.close: Decimal | None = None
        self.opened: Decimal | None = None
        """The first price there was."""
        self.touched = False
        self.away_to = 0
        """Slots before this one are kept elsewhere, too."""
        self.first = 0
        """The slot of the first chunk; the last is the current slot's."""
        self.chunks: tuple[bytes | None, ...] = (b"",)
        self.tails = tuple(Tail(length, 0, 0, 0, 0, None) for length in (DAY, *lengths))

    def clone(self) -> Series:
        other = Series.__new__(Series)
        other.minute, other.count, other.volume = self.minute, self.count, self.volume
        other.close, other.opened, other.touched = self.close, self.opened, self.touched
        other.away_to, other.first, other.chunks, other.tails = self.away_to, self.first, self.chunks, self.tails
        return other

    def add(self, count: int, volume: int, close: Decimal | None) -> None:
        """Something happened in the current minute; `close` is the price after it."""
        self.count += count
        self.volume += volume
        self.close = close
        self.touched = True
        if self.opened is None:
            self.opened = close

    def volume_of(self, tail: int) -> int:
        """What was traded within a tail, the current minute included."""
        return self.tails[tail].volume + self.volume

    def count_of(self, tail: int) -> int:
        return self.tails[tail].trades + self.count

    def before(self, tail: int) -> Decimal | None:
        """The price when a tail began; of a series that is younger, the first there was."""
        return self.tails[tail].before or self.opened

    def missing(self, minute: int) -> list[int]:
        """The slots whose chunks must be back before `advance(minute)`."""
        limit = minute - DAY
        if self.minute <= limit:
            return []  # all of it is too old
        begin = self.tails[0].slot
        return [slot for slot in range(begin, limit // SLOT + 1) if self.chunks[slot - self.first] is None]

    def bring_back(self, slot: int, chunk: bytes) -> None:
        """Put a chunk back in its place."""
        place = slot - self.first
        self.chunks = (*self.chunks[:place], chunk, *self.chunks[place + 1 :])

    def over(self) -> Iterator[tuple[int, bytes]]:
        """The slots that will not change any more, that no short tail is in and that are not put away yet."""
        newest = min(tail.slot for tail in self.tails[1:]) if len(self.tails) > 1 else self.minute // SLOT
        for slot in range(max(self.away_to, self.first), newest):
            if chunk := self.chunks[slot - self.first]:
                yield slot, chunk

    def put_away(self, to: int) -> None:
        """Let go of the chunks of slots up to `to`, which are all kept elsewhere; not of the one that a tail is in."""
        oldest = self.tails[0].slot
        self.away_to = max(self.away_to, to + 1)
        self.chunks = tuple(
            None if chunk and oldest < slot < self.away_to else chunk
            for slot, chunk in enumerate(self.chunks, self.first)
        )

    def advance(self, minute: int) -> None:
        """Go on to a minute. One that is past already changes nothing: a chain's clock may stand still."""
        if minute <= self.minute:
            return
        if self.minute < 0:
            self.minute, self.first = minute, minute // SLOT
            self.tails = tuple(tail._replace(slot=self.first) for tail in self.tails)
            return
        former, last_close = self.minute, self.close
        if self.touched:
            packed = pack(Minute(former, self.count, self.volume, self.close))
            assert self.chunks[-1] is not None
            self.chunks = (*self.chunks[:-1], self.chunks[-1] + packed)
            count, volume = self.count, self.volume
            self.tails = tuple(t._replace(trades=t.trades + count, volume=t.volume + volume) for t in self.tails)
        self.minute, self.count, self.volume, self.touched = minute, 0, 0, False
        slot = minute // SLOT
        if minute - former >= DAY:
            self.first, self.chunks = slot, (b"",)
        else:
            self.chunks += (b"",) * (slot - former // SLOT)
        end = len(self.chunks[-1] or b"")
        self.tails = tuple(
            Tail(t.minutes, slot, end, 0, 0, last_close) if former <= minute - t.minutes else self._moved(t, minute)
            for t in self.tails
        )
        oldest = self.tails[0].slot
        self.first, self.chunks = oldest, self.chunks[oldest - self.first :]

    def _moved(self, tail: Tail, minute: int) -> Tail:
        """The tail once all that is too old has left it."""
        limit, slot, offset = minute - tail.minutes, tail.slot, tail.offset
        count, volume, before = tail.trades, tail.volume, tail.before
        while slot * SLOT <= limit:
            chunk = self.chunks[slot - self.first]
            assert chunk is not None, "a chunk that is put away was not asked for"
            while offset < len(chunk):
                oldest, behind = unpack(chunk, offset, slot)
                if oldest.number > limit:
                    return Tail(tail.minutes, slot, offset, count, volume, before)
                count -= oldest.trades
                volume -= oldest.volume
                before, offset = oldest.close, behind
            if slot == minute // SLOT:
                break
            slot, offset = slot + 1, 0
        return Tail(tail.minutes, slot, offset, count, volume, before)
