"""Statistics of a token or a contract, computed from the events of its history."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from chaincast.model.events import Event, Json

DAY_MS = 86_400_000

_LASTING_FIELDS = (
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
"""Members of a price event that stay valid until the next one."""

_DAY_FIELDS: dict[str, Json] = {"trades_24h": 0, "volume_24h": "0", "volume_24h_usd": 0.0, "change_24h": 0.0}
"""Members of a price event that cover 24 hours, and their values once a day has passed without a trade."""


def token_stats(price: Event | None, now_ms: int) -> dict[str, Json]:
    """Return the statistics of a token from its newest price event, which is None if it was never traded.

    `as_of` is the time of that event (ms). If it is older than a day, the members that cover 24 hours are zero.
    """
    if price is None:
        return {"trades": 0, "as_of": None}
    stats: dict[str, Json] = {name: price.data.get(name) for name in (*_LASTING_FIELDS, *_DAY_FIELDS)}
    if now_ms - price.timestamp >= DAY_MS:
        for name, zero in _DAY_FIELDS.items():
            if stats[name] is not None:  # a value that was unknown stays unknown
                stats[name] = zero
    stats["as_of"] = price.timestamp
    return stats


def contract_stats(newest_first: Iterable[Event], complete: bool, now_ms: int) -> dict[str, Json]:
    """Return the statistics of a contract from its events: counts by type, in total and in 24 hours, first and last.

    `complete`: True if these are all events that the history holds.
    """
    counts: Counter[str] = Counter()
    day_counts: Counter[str] = Counter()
    first: int | None = None
    last: int | None = None
    for event in newest_first:
        name = str(event.data.get("event", event.kind))
        counts[name] += 1
        if now_ms - event.timestamp < DAY_MS:
            day_counts[name] += 1
        if last is None:
            last = event.timestamp
        first = event.timestamp
    return {
        "events": counts.total(),
        "by_type": dict(counts),
        "events_24h": day_counts.total(),
        "by_type_24h": dict(day_counts),
        "first": first,
        "last": last,
        "complete": complete,
    }
