"""The market engine: time per trade, and memory per token.

CPU: 10,000 tokens with a Zipf distribution of trades, 1,000 trades per second, a block per second, from decoded trades
to all events. Memory: tokens that trade in every minute of 26 hours, with a snapshot every ten minutes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from time import process_time

from benchmarks.report import finish, parser, show
from chaincast.config.market import Alerts
from chaincast.eventlog.market_store import Entry
from chaincast.model.events import Event
from listener.market.engine import Market
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore

KEEP_MINUTES = 10
FINALITY = 64
START = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """Size of the measurement.

    CPU: `trades` a second of `tokens` for `seconds`. Memory: `dense` tokens for `minutes`.
    """

    tokens: int = 10_000
    trades: int = 1_000
    seconds: int = 60
    dense: int = 200
    minutes: int = 26 * 60


QUICK = Size(tokens=100, trades=100, seconds=6, dense=5, minutes=60)


class Shelf:
    """A store in place of the State table, outside of the measurement."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def get(self, names: Iterable[str]) -> dict[str, bytes]:
        return {name: self.entries[name] for name in names if name in self.entries}

    def put(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.entries[entry.name] = entry.state


def main() -> int:
    arguments = parser(__doc__).parse_args()
    size = QUICK if arguments.quick else Size()
    microseconds, per_trade = _cpu(size)
    active, chunks = _memory(size)
    rows = [
        ["CPU a trade, with all that follows from it", f"{microseconds:.1f} µs"],
        ["events per trade (itself, price, alerts)", f"{per_trade:.2f}"],
        ["memory of a token that trades every minute for a day", f"{active:,.0f} bytes"],
        ["of that, packed minutes", f"{chunks:,.0f} bytes"],
    ]
    show(f"{size.tokens:,} tokens, {size.trades:,} trades/s", ["what", "figure"], rows)
    finish(arguments, {"us_per_trade": microseconds, "bytes_per_token": active, "events_per_trade": per_trade})
    return 0


def _cpu(size: Size) -> tuple[float, float]:
    dice = random.Random(1)
    market, store = Market("bench", MarketSettings(alerts=Alerts()), 0), _store()
    weights = [1 / (rank + 1) for rank in range(size.tokens)]
    blocks = [
        [
            _trade(dice, token, second, i)
            for i, token in enumerate(dice.choices(range(size.tokens), weights, k=size.trades))
        ]
        for second in range(size.seconds)
    ]
    delivered, spent = 0, []
    for number, events in enumerate(blocks, 1):
        timestamp = START + number
        store.fill(market, events, timestamp)
        began = process_time()
        delivered += len(market.advance(number, f"0x{number:064x}", timestamp, events))
        market.finalize(number - FINALITY)
        if number > size.seconds // 3:
            spent.append(process_time() - began)
    return median(spent) * 1e6 / size.trades, delivered / (size.seconds * size.trades)


def _memory(size: Size) -> tuple[float, float]:
    dice = random.Random(2)
    market, store = Market("bench", MarketSettings(alerts=Alerts()), 0), _store()
    timestamp = START
    for minute in range(1, size.minutes):
        timestamp = START + minute * 60
        events = [_trade(dice, token, minute * 60, token) for token in range(size.dense)]
        store.fill(market, events, timestamp)
        market.advance(minute, f"0x{minute:064x}", timestamp, events)
        market.finalize(minute)
        if minute % KEEP_MINUTES == 0:
            kept = market.take_snapshot()
            store.write(kept)
            market.snapshot_saved(kept, timestamp)
    return _sizes(market, size.dense)


def _sizes(market: Market, tokens: int) -> tuple[float, float]:
    """Return the mean bytes of a token, counting every object that belongs to it alone."""
    total = packed = 0
    seen: set[int] = set()  # objects that tokens share count once
    for number in range(tokens):
        token = market.token(_address(number))
        total += _size(token, seen)
        packed += sum(sys.getsizeof(chunk) for chunk in token.series.chunks if chunk)
    return total / tokens, packed / tokens


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
