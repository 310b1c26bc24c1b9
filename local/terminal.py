"""The console that commands print tables and progress to."""

from __future__ import annotations

from rich.console import Console


class Terminal(Console):
    """A rich console that lets `local.cli` handle closed output, as it does for `print`."""

    def on_broken_pipe(self) -> None:
        """Raise `BrokenPipeError`. The base class would exit with status 1."""
        raise BrokenPipeError
