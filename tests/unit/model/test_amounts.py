from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.model.amounts import in_whole_units, plain


@pytest.mark.parametrize(
    ("amount", "decimals", "whole"),
    [
        ("2500000000000000000", 18, "2.5"),
        ("1", 18, "0.000000000000000001"),
        ("0", 18, "0"),
        ("1000000", 6, "1"),
        ("12500000000", 9, "12.5"),
        ("42", 0, "42"),
        ("100", 2, "1"),
        ("007", 1, "0.7"),
        ("000", 0, "0"),
        ("1" + "0" * 77, 18, "1" + "0" * 59),
    ],
)
def test_amounts_in_whole_units(amount: str, decimals: int, whole: str) -> None:
    assert in_whole_units(amount, decimals) == whole


@given(st.integers(0, 2**256), st.integers(0, 77))
def test_no_digit_is_lost(amount: int, decimals: int) -> None:
    text = in_whole_units(str(amount), decimals)
    with localcontext(prec=200):
        assert Decimal(text).scaleb(decimals) == amount
    assert text == plain(Decimal(text))


@pytest.mark.parametrize(
    ("value", "text"), [("1E+3", "1000"), ("1.500", "1.5"), ("0", "0"), ("-2.50", "-2.5"), ("1E-7", "0.0000001")]
)
def test_plain_digits(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text
