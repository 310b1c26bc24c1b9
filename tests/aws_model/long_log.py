"""An event log of many batches, each of which is made when it is read."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import overload

from chaincast.model.batches import encode_parts
from chaincast.model.cursors import CURSOR_DIGITS, format_cursor, parse_cursor
from tests.aws_model.expressions import Item
from tests.factories import make_batch, make_event


class Cursors(Sequence[str]):
    """The sort keys of the batches 1 to `number`."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __len__(self) -> int:
        return self._number

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._number))]
        if not 0 <= index < self._number:
            raise IndexError(index)
        return _sort_key(index + 1)


class LongLog:
    """A partition of table Log with `number` batches of `events` events."""

    def __init__(self, source: str, number: int, events: int) -> None:
        self.keys = Cursors(number)
        self._source = source
        self._events = events

    def get(self, key: str) -> Item:
        """Return the item of a batch."""
        seq = parse_cursor(key[:CURSOR_DIGITS])
        events = (make_event(log, block=seq, network=self._source) for log in range(self._events))
        (part,) = encode_parts(make_batch(*events, seq=seq, block=seq, source=self._source))
        data = b64encode(part.data).decode()
        return {"source": {"S": self._source}, "cursor": {"S": part.batch.sort_key}, "batch": {"B": data}}


def _sort_key(seq: int) -> str:
    """Return the sort key of a batch with one part."""
    return make_batch(seq=seq, block=seq).sort_key if seq < 2 else _like_first(seq)


def _like_first(seq: int) -> str:
    return format_cursor(seq) + _sort_key(1)[CURSOR_DIGITS:]
