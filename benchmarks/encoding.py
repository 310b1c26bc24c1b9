"""Encoding: a batch of 20 events in each dialect, from events to the messages of a connection that sees all of them.

Fan-out encodes once for each batch and dialect, regardless of the number of connections, and posts the result to all.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from time import perf_counter

from benchmarks.report import finish, parser, show
from chaincast.fanout.plan import Plan
from chaincast.model.batches import Batch
from chaincast.model.events import Event
from tests.factories import make_batch
from tests.unit.protocol.sample_events import (
    BOOK,
    CAMPAIGN,
    CHAINS,
    CREATED,
    PORTFOLIO,
    PRICE,
    PUBLISHED_PRICE,
    PUBLISHED_TRADE,
    SWAP,
    TRADE,
    WHALE,
)

EVENTS = 20
ROUNDS = 500
AIM_US = 200
ON_CHAIN = (TRADE, SWAP, PRICE, CREATED, WHALE)
PUBLISHED = (PUBLISHED_PRICE, BOOK, PUBLISHED_TRADE, PORTFOLIO)
OF: dict[str, tuple[Event, ...]] = {
    "chaincast.v1": ON_CHAIN,
    "coremem": ON_CHAIN,
    "moonx": (TRADE, SWAP, PRICE),
    "socketio/kaspump": (TRADE, SWAP, CREATED),
    "socketio/adstack": (CAMPAIGN, TRADE),
    "socketio/moonx-gateway": PUBLISHED,
}


def main() -> int:
    arguments = parser(__doc__).parse_args()
    rows, figures = [], {}
    for name, kinds in OF.items():
        batch = make_batch(*(_numbered(kinds[i % len(kinds)], i) for i in range(EVENTS)))
        microseconds, messages, size = _measure(name, batch, 5 if arguments.quick else ROUNDS)
        rows.append([name, f"{microseconds:.0f}", f"{microseconds / EVENTS:.1f}", str(messages), f"{size / 1024:.1f}"])
        figures[name] = {"us": microseconds, "messages": messages, "bytes": size}
    show(
        f"a batch of {EVENTS} events (best of {ROUNDS}; aim {AIM_US} µs)",
        ["dialect", "µs", "µs an event", "messages", "KiB"],
        rows,
    )
    finish(arguments, figures)
    return 0


def _numbered(event: Event, number: int) -> Event:
    return replace(event, id=f"{event.id}:{number}", conflation_key=None)


def _measure(name: str, batch: Batch, rounds: int) -> tuple[float, int, int]:
    best = float("inf")
    messages: tuple[bytes, ...] = ()
    for _ in range(rounds):
        plan = Plan([batch], 131_072, CHAINS)
        started = perf_counter()
        messages = plan.messages(((name, (1 << EVENTS) - 1),))
        best = min(best, perf_counter() - started)
    assert messages
    return best * 1e6, len(messages), sum(map(len, messages))


if __name__ == "__main__":
    sys.exit(main())
