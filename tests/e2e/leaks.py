"""A search for credentials in the logs of functions and listener: every token and ticket that the tests used."""

from __future__ import annotations

from collections.abc import Iterator

from local.stack.local_stack import LocalStack

_SECRETS: set[str] = set()
_MIN_LENGTH = 20


def register_secret(secret: str) -> str:
    """Remember a token or ticket that a test uses, and return it."""
    if len(secret) >= _MIN_LENGTH:
        _SECRETS.add(secret)
    return secret


def find_leaks(stack: LocalStack) -> list[str]:
    """Return the log lines that contain a secret."""
    # The signature of a token is searched for, because it is the part that cannot be guessed.
    parts = {secret.rpartition(".")[2] if secret.count(".") == 2 else secret for secret in _SECRETS}
    parts = {part for part in parts if len(part) >= _MIN_LENGTH}
    lines = [*_function_logs(stack), *_listener_logs(stack)]
    assert any("ConnectionsOpened" in line for line in lines), "the logs of functions are among them"
    text = "\n".join(lines)
    leaked = [part for part in parts if part in text]
    return [line for line in lines if any(part in line for part in leaked)]


def _function_logs(stack: LocalStack) -> Iterator[str]:
    """Return the lines that functions logged: those of the emulator's log that are JSON."""
    lines = stack.emulator.log.read_text(errors="replace").splitlines()
    return (line for line in lines if line.startswith("{"))


def _listener_logs(stack: LocalStack) -> Iterator[str]:
    for log in stack.directory.glob("*.log"):
        if log.name not in ("ministack.log", "anvil.log"):  # the emulator's log contains requests with their headers
            yield from log.read_text(errors="replace").splitlines()
