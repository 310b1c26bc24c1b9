"""Every benchmark runs to its end with `--quick` and prints figures, so that none can rot unnoticed."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = re.findall(r"-m benchmarks\.(\w+)", (ROOT / "Makefile").read_text())
COUNTED = {
    "fanout": {"requests_per_batch.posts": 500, "requests_per_batch.deletes": 0},
    "publishing": {"sent": 200, "arrived": 200},
    "fuzzing": {"chaincast.v1.inputs": 500},
    "slow_clients": {"closed": 5, "complete": 20},
    "mass_resume": {"complete": 300},
    "long_replay": {"missing": 0, "events": 9_600},
}
"""Figures that a quick run counts, and does not measure: they are known."""
MAY_BE_ZERO = re.compile(r"(deletes|accepted|cpu\..*|closed_slow|throttled|missing)$")
DIFFERENCES = re.compile(r"(behind_ms|added_p99_ms|steps_\w+\.\w+)$")
"""Differences of two clocks' times, which may be a little below zero."""


def numbers(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    """Yield every number of a JSON value with its dotted name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from numbers(inner, name)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, value


def test_make_bench_runs_every_benchmark_that_there_is() -> None:
    programs = {p.stem for p in (ROOT / "benchmarks").glob("*.py") if "def main() -> int:" in p.read_text()}
    assert programs == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_measures_something(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    figures = dict(numbers(json.loads(done.stdout.splitlines()[-1])))
    assert figures
    for figure, value in figures.items():
        assert math.isfinite(value), figure
        if DIFFERENCES.search(figure):
            assert value > -500, f"{figure}: {value}"
        else:
            assert value > 0 or (value == 0 and MAY_BE_ZERO.search(figure)), f"{figure}: {value}"
    for figure, value in COUNTED.get(name, {}).items():
        assert figures[figure] == value, figure
