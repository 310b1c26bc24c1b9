"""The market engine: what a trade costs, and what a token takes in memory.

CPU: 10,000 tokens, popular ones traded more (Zipf), 1,000 trades a second, a block a second, decoded trades in and all
events out. Memory: tokens that trade in every one of 26 hours' minutes, kept every ten minutes as the listener does.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from statistics import median
from time import process_time

from benchmarks.report import finish, parser, show
from chaincast.config.market import Alerts
from chaincast.eventlog.market_store import Entry
from chaincast.model.events import Event
from listener.market.engine import Market
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore

TOKENS, TRADES, SECONDS = 10_000, 1_000, 60
DENSE_TOKENS, DENSE_MINUTES, KEEP_MINUTES = 200, 26 * 60, 10
FINALITY = 64
START = 1_700_000_000


class Shelf:
    """In State's place: outside of what is measured."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def get(self, names: Iterable[str]) -> dict[str, bytes]:
        return {name: self.entries[name] for name in names if name in self.entries}

    def put(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.entries[entry.name] = entry.state


def main() -> int:
    arguments = parser(__doc__).parse_args()
    microseconds, told = _cpu()
    active, chunks = _memory()
    rows = [
        ["CPU a trade, with all that follows from it", f"{microseconds:.1f} µs"],
        ["events told a trade (itself, price, alerts)", f"{told:.2f}"],
        ["memory of a token that trades every minute for a day", f"{active:,.0f} bytes"],
        ["of that, packed minutes", f"{chunks:,.0f} bytes"],
    ]
    show(f"{TOKENS:,} tokens, {TRADES:,} trades/s", ["what", "figure"], rows)
    finish(arguments, {"us_per_trade": microseconds, "bytes_per_token": active, "told_per_trade": told})
    return 0


def _cpu() -> tuple[float, float]:
    dice = random.Random(1)
    market, store = Market("bench", MarketSettings(alerts=Alerts()), 0), _store()
    weights = [1 / (rank + 1) for rank in range(TOKENS)]
    blocks = [
        [_trade(dice, token, second, i) for i, token in enumerate(dice.choices(range(TOKENS), weights, k=TRADES))]
        for second in range(SECONDS)
    ]
    told, spent = 0, []
    for number, events in enumerate(blocks, 1):
        timestamp = START + number
        store.fill(market, events, timestamp)
        began = process_time()
        told += len(market.advance(number, f"0x{number:064x}", timestamp, events))
        market.settle(number - FINALITY)
        if number > SECONDS // 3:
            spent.append(process_time() - began)
    return median(spent) * 1e6 / TRADES, told / (SECONDS * TRADES)


def _memory() -> tuple[float, float]:
    dice = random.Random(2)
    market, store = Market("bench", MarketSettings(alerts=Alerts()), 0), _store()
    timestamp = START
    for minute in range(1, DENSE_MINUTES):
        timestamp = START + minute * 60
        events = [_trade(dice, token, minute * 60, token) for token in range(DENSE_TOKENS)]
        store.fill(market, events, timestamp)
        market.advance(minute, f"0x{minute:064x}", timestamp, events)
        market.settle(minute)
        if minute % KEEP_MINUTES == 0:
            kept = market.keep()
            store.write(kept)
            market.kept(kept, timestamp)
    return _sizes(market)


def _sizes(market: Market) -> tuple[float, float]:
    """Mean bytes of a token: every object that only it has."""
    total = packed = 0
    seen: set[int] = set()  # what tokens share counts once
    for number in range(DENSE_TOKENS):
        token = market.token(_address(number))
        total += _size(token, seen)
        packed += sum(sys.getsizeof(chunk) for chunk in token.series.chunks if chunk)
    return total / DENSE_TOKENS, packed / DENSE_TOKENS


def _size(thing: object, seen: set[int]) -> int:
    if id(thing) in seen or thing is None or isinstance(thing, (bool, type)):
        return 0
    seen.add(id(thing))
    size = sys.getsizeof(thing)
    if isinstance(thing, tuple):
        return size + sum(_size(part, seen) for part in thing)
    return size + sum(_size(getattr(thing, name), seen) for name in getattr(type(thing), "__slots__", ()))


def _store() -> MarketStore:
    return MarketStore(Shelf(), "bench", MarketSettings())  # type: ignore[arg-type]  # as good as State


def _address(number: int) -> str:
    return f"0x{number + 1:040x}"


def _trade(dice: random.Random, token: int, second: int, index: int) -> Event:
    native = int(dice.lognormvariate(-2.5, 1.0) * 10**18)
    reserve = 10**19 + dice.randrange(10**18)
    return Event(
        id=f"bench:{second}:00000000:{index}",
        kind="trade",
        timestamp=(START + second) * 1000,
        topics=(),
        data={
            "market": f"0x{token + 1:039x}f",
            "name": "Moon Cat",
            "symbol": "MC42",
            "side": dice.choice(("buy", "sell")),
            "trader": f"0x{dice.randrange(1000):040x}",
            "native_amount": str(native),
            "token_amount": str(native * 10**6),
            "native_reserve": str(reserve),
            "token_reserve": str(10**46 // reserve),
            "price": "0.000001",
        },
        block=second + 1,
        tx_hash="0x" + "0" * 64,
        log_index=index,
        contract=f"0x{token + 1:039x}f",
        token=_address(token),
    )


if __name__ == "__main__":
    sys.exit(main())
