"""Latency of live clients while many others resume at once, which fan-out must pass over.

Fan-out and the lifecycle function run against a model of AWS (tests/aws_model) with the limits of a DynamoDB partition:
1,000 writes per second. While batches come to the live clients, as many others resume from the beginning of the log.
Then all are live, and as many batches come again, for comparison. At the end every client must have every event in
order.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from benchmarks.report import finish, parser, show
from benchmarks.slow_clients import EVENTS, TOPIC, batches_of, ids_of, latencies
from tests.aws_model.deployment import Deployment, deployment


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--live", type=int, default=2_000)
    options.add_argument("--resuming", type=int, default=2_000)
    options.add_argument("--batches", type=int, default=200)
    arguments = options.parse_args()
    if arguments.quick:
        arguments.live, arguments.resuming, arguments.batches = 200, 100, 10
    with deployment(lifecycles=1 if arguments.quick else 6) as stack:
        figures = _measure(stack, arguments.live, arguments.resuming, arguments.batches)
    names = ("p50 ms", "p99 ms", "max ms")
    rows = [[name, *(f"{figures[kind][name]:,.1f}" for kind in ("quiet", "storm"))] for name in names]
    show("latency of the live clients", ["", "all live", "while others resume"], rows)
    counts = [f"{figures[name]:,.0f}" for name in ("complete", "resumed_after_s", "updates_per_batch", "throttled")]
    show("all clients", ["complete", "last resumed after s", "updates per batch", "throttled"], [counts])
    for connection, wrong in [*figures["wrong"].items()][:5]:
        print(f"not complete: {connection}: {wrong}", file=sys.stderr)
    finish(arguments, {name: value for name, value in figures.items() if name != "wrong"})
    return int(bool(figures["wrong"]))


def _measure(stack: Deployment, live: int, resuming: int, batches: int) -> dict[str, Any]:
    names = [f"L{number:05d}abc=" for number in range(live)]
    others = [f"R{number:05d}abc=" for number in range(resuming)]
    stack.control("connect", ids=names, topics=[TOPIC])
    warm = stack.run(batches_of(1, 3), 0.0)
    # On AWS the lifecycle function has machines of its own. Here it gets the time between the batches.
    interval = 3.0 * max(b - a for a, b in zip(warm, [*warm[1:], time.monotonic()], strict=True))
    stack.run(batches_of(4, batches), 0.0)  # which the others have missed
    first = 4 + batches
    stack.control("watch", ids=others)
    began = time.monotonic()
    stack.control("resume", ids=others, topics=[TOPIC], source="anvil", after=0)
    updates = stack.control("state")["requests"]["UpdateItem"]
    storm = latencies(stack, names, first, stack.run(batches_of(first, batches), interval))
    stack.wait_for_replays(600)
    resumed = time.monotonic() - began
    state = stack.control("state")
    first += batches
    quiet = latencies(stack, names, first, stack.run(batches_of(first, batches), interval))
    last = first + batches - 1
    wrong = stack.control("incomplete", ids=names, first=1, last=last, events=EVENTS)
    wrong |= stack.control("disordered", ids=others, events=ids_of(1, last))
    return {
        "quiet": quiet,
        "storm": storm,
        "ratio_p99": storm["p99 ms"] / quiet["p99 ms"],
        "complete": live + resuming - len(wrong),
        "resumed_after_s": resumed,
        "updates_per_batch": (state["requests"]["UpdateItem"] - updates) / batches,
        "throttled": state["throttled"],
        "wrong": wrong,
    }


if __name__ == "__main__":
    sys.exit(main())
