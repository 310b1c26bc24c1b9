"""The container's health: the loop touches a file on every turn, `python -m listener.health` checks its age."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

FILE = Path(os.environ.get("CHAINCAST_HEALTH_FILE", str(Path(tempfile.gettempdir()) / "chaincast-listener")))
MAX_AGE_SECONDS = 90.0


def alive() -> None:
    """Note that the loop turns."""
    FILE.touch()


def main() -> int:
    try:
        age = time.time() - FILE.stat().st_mtime
    except FileNotFoundError:
        print(f"unhealthy: {FILE} does not exist: the listener's loop has not begun")
        return 1
    if age > MAX_AGE_SECONDS:
        print(f"unhealthy: the listener's loop last turned {age:.0f} s ago; at most {MAX_AGE_SECONDS:.0f} s")
        return 1
    print(f"healthy: the loop turned {age:.0f} s ago")
    return 0


if __name__ == "__main__":
    sys.exit(main())
