"""What on-chain events say, as the protocols of other servers ask for it: whole units, one name for one thing.

Amounts are decimal strings of whole units, or None where a token's decimals are not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from chaincast.errors import ClientError
from chaincast.model.amounts import NATIVE_DECIMALS, in_whole_units
from chaincast.model.events import Event, Json
from chaincast.protocol.commands import User

NATIVE = "native"
"""What the native coin is called where a symbol is wanted and no token stands for it."""

ANONYMOUS = "anonymous"
"""The user of a connection that has none, where a protocol wants one."""

_NETWORK = "network:"


def network_of(event: Event) -> str:
    """The network that brought an event; empty for one that a backend published."""
    for topic in reversed(event.topics):  # it is the last, as a rule
        if topic.startswith(_NETWORK):
            return topic[len(_NETWORK) :]
    return ""


def text(data: Mapping[str, Json], name: str) -> str:
    """A member that should be a string, or the empty one."""
    value = data.get(name)
    return value if isinstance(value, str) else ""


def number(value: Json) -> float | None:
    """A JSON number, or a decimal string, as a number; None for anything else."""
    if isinstance(value, (int, float)):  # bool is one, too, and harmless
        return value
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return None
    return None


def units(value: Json, decimals: Json) -> str | None:
    """An amount of smallest units (a decimal string) in whole ones."""
    if not isinstance(value, str) or not isinstance(decimals, int) or not value.isdecimal():
        return None
    return in_whole_units(value, decimals)


def coins(value: Json) -> float | None:
    """An amount in wei as a number of native coins."""
    return number(units(value, NATIVE_DECIMALS))


class Trade(NamedTuple):
    """A trade on a chain, whatever adapter read it. `quote` is what the token was bought with or sold for."""

    side: str
    trader: str
    symbol: str
    token_amount: str | None
    quote: str
    quote_amount: str | None
    price: str | None
    """Quotes for one token."""
    venue: str


def trade(event: Event) -> Trade:
    """What a `trade` event of a chain says."""
    data = event.data
    is_pair = "quote" in data
    return Trade(
        side=text(data, "side"),
        trader=text(data, "trader"),
        symbol=text(data, "symbol"),
        token_amount=units(data.get("token_amount"), data.get("token_decimals", NATIVE_DECIMALS)),
        quote=(text(data, "quote_symbol") or text(data, "quote")) if is_pair else NATIVE,
        quote_amount=units(data.get("quote_amount"), data.get("quote_decimals"))
        if is_pair
        else units(data.get("native_amount"), NATIVE_DECIMALS),
        price=text(data, "price") or None,
        venue="uniswap_v2" if is_pair else "launchpad",
    )


def error_fields(error: ClientError) -> dict[str, Json]:
    """What a program needs to act on an error, beside the words: its code, and when to try again (s), if that helps."""
    found = {"code": error.code.value}
    return {**found, "retryAfter": error.details["retry_after"]} if "retry_after" in error.details else {**found}


def user_fields(user: User | None) -> dict[str, Json]:
    """Whose a connection is, in protocols that have a user for nobody in particular."""
    known = user or User(ANONYMOUS)
    return {"user": {"id": known.id, "email": known.email}}
