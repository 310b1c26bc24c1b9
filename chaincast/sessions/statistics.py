"""Statistics of a token or a contract, from what History keeps of it: pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from chaincast.model.events import Event, Json

DAY_MS = 86_400_000

_OF_TOKEN = (
    "trades",
    "buys",
    "sells",
    "created_at",
    "price_usd",
    "price_native",
    "liquidity",
    "supply",
    "latest_trade",
)
_OF_A_DAY: dict[str, Json] = {"trades_24h": 0, "volume_24h": "0", "volume_24h_usd": 0.0, "change_24h": 0.0}
"""What is left of a day's figures when the day is over."""


def token_stats(price: Event | None, now_ms: int) -> dict[str, Json]:
    """A token's, from its newest price event (None: it was never traded). The day's figures are as of `as_of`."""
    if price is None:
        return {"trades": 0, "as_of": None}
    quiet = now_ms - price.timestamp >= DAY_MS
    day: dict[str, Json] = {
        name: after if quiet and price.data.get(name) is not None else price.data.get(name)
        for name, after in _OF_A_DAY.items()
    }
    return {**{name: price.data.get(name) for name in _OF_TOKEN}, **day, "as_of": price.timestamp}


def contract_stats(newest_first: Iterable[Event], complete: bool, now_ms: int) -> dict[str, Json]:
    """A contract's, of the events that are kept: how many of each type, in all and in 24 h, the first and the last.

    `complete`: whether these are all that are kept.
    """
    counts: Counter[str] = Counter()
    day: Counter[str] = Counter()
    first = last = None
    for event in newest_first:
        name = str(event.data.get("event", event.kind))
        counts[name] += 1
        day[name] += now_ms - event.timestamp < DAY_MS
        last = last or event.timestamp
        first = event.timestamp
    return {
        "events": counts.total(),
        "by_type": dict(counts),
        "events_24h": day.total(),
        "by_type_24h": {name: count for name, count in day.items() if count},
        "first": first,
        "last": last,
        "complete": complete,
    }
