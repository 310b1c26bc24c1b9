"""What things cost: exact ratios in whole units, to eighteen digits."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

DIGITS = Context(prec=18, Emin=-999_999, Emax=999_999)
"""Prices are rounded to it, half even; amounts never are."""

_HUNDRED = Decimal(100)


def ratio(token_amount: int, quote_amount: int, token_decimals: int, quote_decimals: int) -> Decimal | None:
    """What one whole token costs in whole quotes, of amounts in the smallest units. None if there are no tokens."""
    if not token_amount:
        return None
    found = DIGITS.divide(Decimal(quote_amount), Decimal(token_amount))
    return found.scaleb(token_decimals - quote_decimals, DIGITS)


def shown(price: Decimal | None) -> str | None:
    """A price as events carry it: plain digits, no exponent, no zeros behind."""
    return None if price is None else f"{price.normalize(DIGITS):f}"


def quotient(one: Decimal, other: Decimal | None) -> Decimal | None:
    """One price over another. None if the other is nothing."""
    return DIGITS.divide(one, other) if other else None


def product(one: Decimal, other: Decimal) -> Decimal:
    return DIGITS.multiply(one, other)


def percent(part: Decimal, of: Decimal | None) -> Decimal | None:
    """How many percent of `of` a part is. None if there is nothing to be part of."""
    return quotient(DIGITS.multiply(part, _HUNDRED), of)


def change(price: Decimal, before: Decimal) -> Decimal | None:
    """By how many percent a price has moved. None from nothing."""
    return percent(DIGITS.subtract(price, before), before)


def whole(amount: int, decimals: int) -> Decimal:
    """An amount in whole units, exactly."""
    with localcontext(prec=max(len(str(amount)), 1), Emin=-999_999, Emax=999_999):
        return Decimal(amount).scaleb(-decimals)
