"""The clock that handlers use unless a test gives them another."""

from __future__ import annotations

import time


def now_ms() -> int:
    """Return the current time in milliseconds since 1970 (UTC)."""
    return int(time.time() * 1000)
