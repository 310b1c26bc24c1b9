"""The size of long tests: small in `make test`, full with CHAINCAST_FULL=1."""

from __future__ import annotations

import os


def sized(small: int, full: int) -> int:
    """Return the number to use: `small`, or `full` if the environment asks for it."""
    return full if os.environ.get("CHAINCAST_FULL") else small
