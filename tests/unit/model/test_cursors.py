from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import CodecError
from chaincast.model.cursors import format_cursor, format_position, parse_cursor


@given(st.integers(0, 10**12 - 1), st.integers(0, 10**12 - 1))
def test_cursors_sort_like_their_numbers_and_come_back(a: int, b: int) -> None:
    assert (format_cursor(a) < format_cursor(b)) == (a < b)
    assert parse_cursor(format_cursor(a)) == a


@pytest.mark.parametrize("seq", [-1, 10**12])
def test_a_number_that_does_not_fit_is_refused(seq: int) -> None:
    with pytest.raises(ValueError, match="not within"):
        format_cursor(seq)


@pytest.mark.parametrize(
    "text", ["", "1", "00000000000a", "-00000000001", "٠٠٠٠٠٠٠٠٠٠٠٠", "0" * 13, "000000000001#001"]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(CodecError, match="12 decimal digits"):
        parse_cursor(text)


def test_positions_sort_by_block_then_log_then_derived_event() -> None:
    places = [(1, 0, 0), (1, 0, 1), (1, 2, 0), (1, 10, 0), (2, 0, 0), (10, 0, 0)]
    assert sorted(format_position(*p) for p in places) == [format_position(*p) for p in places]
    assert format_position(7, 3) == "000000000007.000003.00"
