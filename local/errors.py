"""The error that ends a command."""

from __future__ import annotations


class StepFailed(Exception):
    """A step of a command failed. The message says which step, why, and what the user can do about it."""

    def __init__(self, step: str, why: str, advice: str) -> None:
        super().__init__(f"{step} failed: {why}\n  what to do: {advice}")
        self.step = step
