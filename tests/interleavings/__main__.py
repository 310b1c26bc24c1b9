"""`make simulate`: run random scenarios in random orders of their AWS calls, and print the shortest that fails.

A failing run is printed as a timeline, with the command that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import UTC, datetime
from random import Random

from tests.interleavings.explore import Run, Scenario, replay, sample, shrink
from tests.interleavings.meetings import any_scenario, named


def main() -> int:
    """Run, and return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.interleavings", description=__doc__)
    today = datetime.now(UTC).toordinal()
    parser.add_argument("--seed", type=int, default=today, help="default: the number of the day")
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--scenario", help="run only this one, as it was printed")
    parser.add_argument("--schedule", help="repeat this schedule of the scenario: numbers with commas")
    options = parser.parse_args()
    if options.schedule is not None:
        decisions = [int(number) for number in options.schedule.split(",") if number]
        run = replay(named(options.scenario), decisions)
        print(run)
        return 1 if run.problems else 0
    dice, began, steps = Random(options.seed), time.monotonic(), 0
    for number in range(options.runs):
        name, scenario = (options.scenario, named(options.scenario)) if options.scenario else any_scenario(dice)
        run = sample(scenario, dice)
        steps += run.steps
        if run.problems:
            _report(name, scenario, run, f"run {number + 1} of seed {options.seed}")
            return 1
    seconds = time.monotonic() - began
    print(f"seed {options.seed}: {options.runs} runs, {steps} steps, {options.runs / seconds:.0f} runs/s: none broken")
    return 0


def _report(name: str, scenario: Scenario, run: Run, which: str) -> None:
    shortest = shrink(scenario, run)
    schedule = ",".join(map(str, shortest.decisions))
    print(f"{name}, {which}, broken:\n{shortest}\n")
    print(f"repeat it: python -m tests.interleavings --scenario {name} --schedule {schedule or ','}")


if __name__ == "__main__":
    sys.exit(main())
