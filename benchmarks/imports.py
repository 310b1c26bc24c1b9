"""Import time of each function's module, which is part of its cold start, compared with making a boto3 client.

Each figure is the minimum of several new interpreters, with the packages of the deployed layers. `python -X importtime`
gives the heaviest package.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.report import finish, parser, show
from chaincast.aws import environment as resources
from chaincast.config.load import load
from local.stack.checkout import ROOT

YARDSTICK = "import boto3; boto3.client('dynamodb')"
ALLOWED = 2.0
"""Limit for every function, as a multiple of the time to make a boto3 client."""


def environment() -> dict[str, str]:
    """Return the environment variables of a function: names of resources that importing its module does not call."""
    names = [name for name in vars(resources) if name.isupper() and name != "COUNTER_SECONDS"]
    variables = [vars(resources)[name] for name in names]
    return {
        **os.environ,
        **dict.fromkeys(variables, "https://example.com/prod"),
        "CHAINCAST_SETTINGS": load(ROOT / "chaincast.toml").settings(local=True).to_json(),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKID",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "POWERTOOLS_METRICS_NAMESPACE": "Chaincast",
    }


def milliseconds(code: str, runs: int) -> float:
    """Return the minimum time that new interpreters take for a line of imports, without the interpreter's own start."""
    timed = f"import time; t = time.perf_counter(); {code}; print('took', time.perf_counter() - t)"
    times = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, "-c", timed], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
        )
        found = re.search(r"took ([\d.]+)", done.stdout)
        assert found is not None, done.stderr
        times.append(float(found.group(1)) * 1000)
    return min(times)


def heaviest(module: str) -> str:
    """Return the package that takes most of a module's import time, according to `-X importtime`."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    totals: dict[str, int] = {}
    for line in done.stderr.splitlines():
        if found := re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", line):
            package = found.group(2).partition(".")[0]
            totals[package] = totals.get(package, 0) + int(found.group(1))
    package, micros = max(totals.items(), key=lambda item: item[1])
    return f"{package} {micros / 1000:.0f} ms"


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=5, help="interpreters per figure (%(default)s)")
    arguments = options.parse_args()
    runs = 1 if arguments.quick else arguments.runs
    modules = sorted(p.stem for p in Path(ROOT / "functions").glob("*.py") if "def handler(" in p.read_text())
    yardstick = milliseconds(YARDSTICK, runs)
    figures = {name: milliseconds(f"import functions.{name}", runs) for name in modules}
    rows = [
        [
            f"functions/{name}.py",
            f"{ms:.0f}",
            f"{ms / yardstick:.2f}",
            "" if arguments.quick else heaviest(f"functions.{name}"),
        ]
        for name, ms in figures.items()
    ]
    show(
        f"import time (allowed: {ALLOWED:g} × the yardstick)",
        ["module", "ms", "× yardstick", "heaviest package"],
        [[YARDSTICK, f"{yardstick:.0f}", "1.00", ""], *rows],
    )
    finish(arguments, {"yardstick_ms": yardstick, "functions_ms": figures})
    # A quick run's figures are too rough for a verdict.
    return 0 if arguments.quick or max(figures.values()) <= ALLOWED * yardstick else 1


if __name__ == "__main__":
    sys.exit(main())
