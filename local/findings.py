"""Findings: results of checks, shown as a list or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from local.terminal import Terminal


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `ok` is None if the check was skipped or impossible. `advice`: the remedy if not ok."""

    check: str
    ok: bool | None
    message: str
    advice: str = ""


def show(findings: Sequence[Finding], *, as_json: bool) -> int:
    """Print findings. Return the exit status: 1 if any check failed, else 0."""
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings]))
    else:
        console = Terminal(highlight=False)
        for finding in findings:
            mark = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}[finding.ok]
            console.print(f"{mark} {finding.check}: ", end="")
            console.print(finding.message, markup=False)
            if finding.ok is False and finding.advice:
                console.print(f"    [dim]{finding.advice}[/]")
    return int(any(finding.ok is False for finding in findings))
