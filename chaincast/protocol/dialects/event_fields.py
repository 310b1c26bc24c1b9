"""Fields of on-chain events in the form that the protocols of other servers use.

Amounts are decimal strings of whole units, or None if the decimals of a token are unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chaincast.errors import RequestError
from chaincast.model.amounts import NATIVE_DECIMALS, in_whole_units
from chaincast.model.events import Event, Json
from chaincast.protocol.commands import User

NATIVE = "native"
"""Symbol of the native coin, where a protocol requires a symbol."""

ANONYMOUS = "anonymous"
"""User id of an anonymous connection, where a protocol requires a user."""

_NETWORK = "network:"


def network_of(event: Event) -> str:
    """Return the network that an event happened on; empty for an event that a backend published."""
    for topic in reversed(event.topics):  # the topic of the network is usually the last
        if topic.startswith(_NETWORK):
            return topic[len(_NETWORK) :]
    return ""


def text(data: Mapping[str, Json], name: str) -> str:
    """Return a member of the data if it is a string, else an empty string."""
    value = data.get(name)
    return value if isinstance(value, str) else ""


def number(value: Json) -> float | None:
    """Return a JSON number or a decimal string as a number; None for any other value."""
    if isinstance(value, (int, float)):  # a bool is an int, too, and does no harm
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def whole_units(value: Json, decimals: Json) -> str | None:
    """Return an amount of smallest units (a decimal string) in whole units; None if either argument is unusable."""
    if not isinstance(value, str) or not isinstance(decimals, int) or not value.isdecimal():
        return None
    return in_whole_units(value, decimals)


def native_coins(value: Json) -> float | None:
    """Return an amount in wei as a number of native coins."""
    return number(whole_units(value, NATIVE_DECIMALS))


class TradeFields(NamedTuple):
    """A trade on a chain, independent of the adapter that decoded it.

    `quote`: symbol or address of what the token was traded for. `price`: units of the quote for one token.
    """

    side: str
    trader: str
    symbol: str
    token_amount: str | None
    quote: str
    quote_amount: str | None
    price: str | None
    venue: str


def trade_fields(event: Event) -> TradeFields:
    """Return the fields of an on-chain `trade` event."""
    data = event.data
    is_pair = "quote" in data
    return TradeFields(
        side=text(data, "side"),
        trader=text(data, "trader"),
        symbol=text(data, "symbol"),
        token_amount=whole_units(data.get("token_amount"), data.get("token_decimals", NATIVE_DECIMALS)),
        quote=(text(data, "quote_symbol") or text(data, "quote")) if is_pair else NATIVE,
        quote_amount=whole_units(data.get("quote_amount"), data.get("quote_decimals"))
        if is_pair
        else whole_units(data.get("native_amount"), NATIVE_DECIMALS),
        price=text(data, "price") or None,
        venue="uniswap_v2" if is_pair else "launchpad",
    )


def error_fields(error: RequestError) -> dict[str, Json]:
    """Return what a program needs to handle an error: its code and, if it is known, the seconds until a retry."""
    fields: dict[str, Json] = {"code": error.code.value}
    if "retry_after" in error.details:
        fields["retryAfter"] = error.details["retry_after"]
    return fields


def user_fields(user: User | None) -> dict[str, Json]:
    """Return a connection's user, in protocols in which an anonymous connection has a user, too."""
    known = user or User(ANONYMOUS)
    return {"user": {"id": known.id, "email": known.email}}
