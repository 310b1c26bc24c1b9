"""A lock between test processes on the code of this checkout: many may deploy it, or one may change it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from local.stack.checkout import BUILD


@contextmanager
def unchanged_code() -> Iterator[None]:
    """Hold the lock that keeps others from changing the code."""
    with _lock(fcntl.LOCK_SH):
        yield


@contextmanager
def changing_code() -> Iterator[None]:
    """Hold the lock that keeps others from deploying the code. The caller restores the code before it ends."""
    with _lock(fcntl.LOCK_EX):
        yield


@contextmanager
def _lock(kind: int) -> Iterator[None]:
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "tree.lock").open("w") as file:
        fcntl.flock(file, kind)
        yield
