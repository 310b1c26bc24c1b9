"""Whose turn it is with this checkout's code, between test processes: to deploy it as it is, or to change it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from local.stack.checkout import BUILD


@contextmanager
def as_it_is() -> Iterator[None]:
    """Nobody changes the code meanwhile."""
    with _lock(fcntl.LOCK_SH):
        yield


@contextmanager
def to_change() -> Iterator[None]:
    """Nobody else deploys the code meanwhile: it is to be put back."""
    with _lock(fcntl.LOCK_EX):
        yield


@contextmanager
def _lock(kind: int) -> Iterator[None]:
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "tree.lock").open("w") as file:
        fcntl.flock(file, kind)
        yield
