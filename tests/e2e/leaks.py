"""Whether anything that opens a door was written down: all that the functions and the listener logged, looked through
for every token and ticket that the tests used."""

from __future__ import annotations

from collections.abc import Iterator

from local.stack.local_stack import LocalStack

_USED: set[str] = set()
_SHORTEST = 20


def used(secret: str) -> str:
    """Note a token or ticket that a test uses."""
    if len(secret) >= _SHORTEST:
        _USED.add(secret)
    return secret


def leaks(stack: LocalStack) -> list[str]:
    """Lines of logs with a secret in them; and how many lines there were is more than none."""
    # The signature alone would do for a thief who knows the rest.
    parts = {secret.rpartition(".")[2] if secret.count(".") == 2 else secret for secret in _USED}
    parts = {part for part in parts if len(part) >= _SHORTEST}
    lines = [*_functions(stack), *_listeners(stack)]
    assert any("ConnectionsOpened" in line for line in lines), "there are the functions' logs"
    whole = "\n".join(lines)
    found = [part for part in parts if part in whole]
    return [line for line in lines if any(part in line for part in found)]


def _functions(stack: LocalStack) -> Iterator[str]:
    """What they wrote: JSON, between what the emulator says of itself."""
    lines = stack.emulator.log.read_text(errors="replace").splitlines()
    return (line for line in lines if line.startswith("{"))


def _listeners(stack: LocalStack) -> Iterator[str]:
    for log in stack.run.glob("*.log"):
        if log.name not in ("ministack.log", "anvil.log"):  # not ours: the emulator's tells what comes and goes
            yield from log.read_text(errors="replace").splitlines()
