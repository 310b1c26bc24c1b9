"""Output of the benchmarks: a table and, with `--json`, one JSON object on the last line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    options.add_argument(
        "--quick", action="store_true", help="measure little, to see that the benchmark works; the figures are rough"
    )
    return options


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table. The first column is left-aligned, the others are numbers."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


def finish(options: argparse.Namespace, figures: Mapping[str, object]) -> None:
    """Print the figures as JSON if `--json` was given."""
    if options.json:
        print(json.dumps(figures))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` (0…1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
