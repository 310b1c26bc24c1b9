"""Amounts of money and tokens as people and protocols write them: whole units, exactly."""

from __future__ import annotations

from decimal import Decimal

NATIVE_DECIMALS = 18


def in_whole_units(amount: str, decimals: int) -> str:
    """An amount of smallest units (decimal digits) in whole units: the point moved, no zeros around."""
    if decimals <= 0:
        return amount.lstrip("0") or "0"
    padded = amount.zfill(decimals + 1)
    whole, part = padded[:-decimals].lstrip("0") or "0", padded[-decimals:].rstrip("0")
    return f"{whole}.{part}" if part else whole


def plain(value: Decimal) -> str:
    """Plain digits: no exponent, no zeros behind."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
