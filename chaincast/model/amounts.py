"""Exact conversion of amounts from smallest units (wei) to whole units, as decimal strings."""

from __future__ import annotations

from decimal import Decimal

NATIVE_DECIMALS = 18


def in_whole_units(amount: str, decimals: int) -> str:
    """Return an amount of smallest units (decimal digits) in whole units, without superfluous zeros."""
    if decimals <= 0:
        return amount.lstrip("0") or "0"
    padded = amount.zfill(decimals + 1)
    whole, part = padded[:-decimals].lstrip("0") or "0", padded[-decimals:].rstrip("0")
    return f"{whole}.{part}" if part else whole


def plain(value: Decimal) -> str:
    """Return a number as decimal digits, without an exponent and without trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
