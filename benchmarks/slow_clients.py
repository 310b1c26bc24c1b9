"""Latency of a shard whose other clients read slowly, or not at all.

Fan-out and the lifecycle function run against a model of AWS (tests/aws_model) in which the buffer of a client that
does not read is full: API Gateway then responds 429. Some clients never read, others read less than there is. Batches
come at fixed times; the latency of a message is the time from its batch's due time to its acceptance by API Gateway. At
the end those that were closed connect again and resume, all read, and every client must have every event in order.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.report import finish, parser, percentile, show
from chaincast.model.batches import Batch
from tests.aws_model.deployment import Deployment, deployment
from tests.factories import make_batch, make_event

EVENTS = 5
TOPIC = "network:anvil"
SLOW_BYTES = 1_200.0
"""Bytes that a slow client reads between two batches: about half of what there is."""


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--connections", type=int, default=10_000)
    options.add_argument("--never", type=int, default=50, help="clients that never read")
    options.add_argument("--slow", type=int, default=500, help="clients that read slowly")
    options.add_argument("--batches", type=int, default=30)
    arguments = options.parse_args()
    if arguments.quick:
        arguments.connections, arguments.never, arguments.slow, arguments.batches = 300, 5, 15, 8
    with deployment(lifecycles=1 if arguments.quick else 6) as stack:
        figures = _measure(stack, arguments.connections, arguments.never, arguments.slow, arguments.batches)
    rows = [
        [name, *(f"{figures[kind][name]:,.0f}" for kind in ("quiet", "storm"))]
        for name in ("p50 ms", "p99 ms", "max ms")
    ]
    show("latency of the clients that read", ["", "all read", "some do not"], rows)
    show(
        "clients that do not read",
        ["never read", "closed", "last closed after s", "slow closed", "complete at the end", "429"],
        [
            [
                f"{arguments.never}",
                f"{figures['closed']}",
                f"{figures['closed_after_s']:.1f}",
                f"{figures['closed_slow']}",
                f"{figures['complete']}",
                f"{figures['refused']:,}",
            ]
        ],
    )
    for connection, what in [*figures["wrong"].items()][:5]:
        print(f"not complete: {connection}: {what}", file=sys.stderr)
    finish(arguments, {name: value for name, value in figures.items() if name != "wrong"})
    return int(bool(figures["wrong"]) or figures["closed"] != arguments.never)


def _measure(stack: Deployment, connections: int, never: int, slow: int, batches: int) -> dict[str, Any]:
    names = [f"L{number:05d}abc=" for number in range(connections)]
    stuck, slowly, reading = names[:never], names[never : never + slow], names[never + slow :]
    stack.control("connect", ids=names, topics=[TOPIC])
    warm = stack.run(batches_of(1, 3), 0.0)
    # On AWS the lifecycle function has machines of its own. Here it gets the time between the batches.
    interval = 5.0 * max(b - a for a, b in zip(warm, [*warm[1:], time.monotonic()], strict=True))
    first = 4
    quiet = latencies(stack, reading, first, stack.run(batches_of(first, batches), interval))
    first += batches
    full = 131_072.0
    stack.control("watch", ids=[*stuck, *slowly])
    stack.control("readers", ids=stuck, bytes_per_second=0.0, buffer_bytes=full)
    stack.control("readers", ids=slowly, bytes_per_second=SLOW_BYTES / interval, buffer_bytes=full - 2_000)
    storm = latencies(stack, reading, first, stack.run(batches_of(first, batches), interval))
    last = first + batches - 1
    stack.control("readers", ids=slowly, bytes_per_second=None)
    ends = time.monotonic() + 120
    while not {*stuck} <= {*stack.control("closed")} and time.monotonic() < ends:
        time.sleep(0.1)
    closed = stack.control("closed")
    again = [f"again{name}" for name in closed]
    stack.control("watch", ids=again)
    stack.control("resume", ids=again, topics=[TOPIC], source="anvil", after=first - 1)
    stack.wait_for_replays(300)
    still_slow = [name for name in slowly if name not in closed]
    wrong = stack.control("incomplete", ids=reading, first=1, last=last, events=EVENTS)
    wrong |= stack.control("disordered", ids=[*still_slow, *again], events=ids_of(first, last))
    answers = stack.control("state")["answers"]
    return {
        "quiet": quiet,
        "storm": storm,
        "added_p99_ms": storm["p99 ms"] - quiet["p99 ms"],
        "closed": sum(name in closed for name in stuck),
        "closed_after_s": max((at - refused for name, (refused, at) in closed.items() if name in stuck), default=0.0),
        "closed_slow": sum(name in closed for name in slowly),
        "complete": slow + never - len(wrong),
        "refused": answers.get("429", 0),
        "wrong": wrong,
    }


def batches_of(first: int, number: int) -> list[Batch]:
    """Return consecutive batches of `EVENTS` events."""
    return [
        make_batch(*(make_event(log, block=seq) for log in range(EVENTS)), seq=seq, block=seq)
        for seq in range(first, first + number)
    ]


def ids_of(first: int, last: int) -> list[str]:
    """Return the ids of the events of batches."""
    return [make_event(log, block=seq).id for seq in range(first, last + 1) for log in range(EVENTS)]


def latencies(stack: Deployment, names: Sequence[str], first: int, due: Sequence[float]) -> dict[str, float]:
    """Return the latencies of connections over batches from `first` on, which were due at these times."""
    by_seq = {str(first + number): at for number, at in enumerate(due)}
    seconds = stack.control("latencies", ids=names, due=by_seq)
    assert len(seconds) == len(names) * len(due)
    return {
        "p50 ms": percentile(seconds, 0.5) * 1000,
        "p99 ms": percentile(seconds, 0.99) * 1000,
        "max ms": max(seconds) * 1000,
    }


if __name__ == "__main__":
    sys.exit(main())
