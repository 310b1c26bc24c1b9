"""A replay of a day of a busy chain's event log, in as many steps as it needs.

The lifecycle function runs against a model of AWS (tests/aws_model). Each step is an invocation that the one before
has caused; Lambda's detection of recursive loops would end it after 16 steps if it were not allowed
(infra/gateway.py).
"""

from __future__ import annotations

import sys
import time
from typing import Any

from benchmarks.report import finish, parser, show
from tests.aws_model.deployment import deployment

CONNECTION = "R00001abc="


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--hours", type=float, default=24.0)
    options.add_argument("--block-seconds", type=float, default=0.75)
    options.add_argument("--events", type=int, default=20, help="events of a block")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.hours = 0.1
    batches = int(arguments.hours * 3600 / arguments.block_seconds)
    figures = _measure(batches, arguments.events)
    rows = [[name, f"{value:,.0f}"] for name, value in figures.items()]
    show(f"replay of {arguments.hours:g} hours", ["", ""], rows)
    finish(arguments, figures)
    return int(figures["missing"] > 0)


def _measure(batches: int, events: int) -> dict[str, Any]:
    with deployment() as stack:
        stack.control("long_log", source="anvil", batches=batches, events=events)
        began = time.monotonic()
        stack.control("resume", ids=[CONNECTION], topics=["network:anvil"], source="anvil", after=0)
        stack.wait_for_replays(3 * 3600)
        seconds = time.monotonic() - began
        while (state := stack.control("state"))["sent"] < 2:  # the job that removes the hold follows its release
            time.sleep(0.1)
        totals = stack.control("totals", connection_id=CONNECTION)
    assert totals["ordered"], "cursors must not fall"
    assert totals["last"] == batches, f"the last cursor is {totals['last']}"
    return {
        "batches": batches,
        "events": totals["events"],
        "missing": batches * events - totals["events"],
        "messages": totals["messages"],
        "steps": state["sent"] - 1,  # the last job removes the hold
        "seconds": seconds,
        "events_per_s": totals["events"] / seconds,
    }


if __name__ == "__main__":
    sys.exit(main())
