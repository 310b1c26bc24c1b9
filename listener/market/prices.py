"""Prices: ratios of amounts in whole units, rounded to eighteen digits."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

DIGITS = Context(prec=18, Emin=-999_999, Emax=999_999)
"""Prices are rounded half to even with this precision. Amounts are never rounded."""

_HUNDRED = Decimal(100)


def ratio(token_amount: int, quote_amount: int, token_decimals: int, quote_decimals: int) -> Decimal | None:
    """Return the price of one whole token in whole quotes; None if `token_amount` is 0.

    The amounts are in smallest units.
    """
    if not token_amount:
        return None
    found = DIGITS.divide(Decimal(quote_amount), Decimal(token_amount))
    return found.scaleb(token_decimals - quote_decimals, DIGITS)


def shown(price: Decimal | None) -> str | None:
    """Return a price as events contain it: decimal digits, without an exponent and without trailing zeros."""
    return None if price is None else f"{price.normalize(DIGITS):f}"


def quotient(one: Decimal, other: Decimal | None) -> Decimal | None:
    """Return `one` divided by `other`; None if `other` is zero or None."""
    return DIGITS.divide(one, other) if other else None


def product(one: Decimal, other: Decimal) -> Decimal:
    """Return the product of two numbers, rounded."""
    return DIGITS.multiply(one, other)


def percent(part: Decimal, of: Decimal | None) -> Decimal | None:
    """Return a part in percent of `of`; None if `of` is zero or None."""
    return quotient(DIGITS.multiply(part, _HUNDRED), of)


def change(price: Decimal, before: Decimal) -> Decimal | None:
    """Return the change of a price in percent; None if the price before is zero."""
    return percent(DIGITS.subtract(price, before), before)


def whole(amount: int, decimals: int) -> Decimal:
    """Return an amount of smallest units in whole units, exactly."""
    with localcontext(prec=max(len(str(amount)), 1), Emin=-999_999, Emax=999_999):
        return Decimal(amount).scaleb(-decimals)
