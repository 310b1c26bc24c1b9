"""The container's health: each network's loop touches a file on every turn, `python -m listener.health` checks the age.

A loop that is stuck (a call that never ends, code that never awaits) touches nothing, and the container is replaced.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(os.environ.get("CHAINCAST_HEALTH_FOLDER", str(Path(tempfile.gettempdir()) / "chaincast-listener")))
MAX_AGE_SECONDS = 90.0


def beat(network: str) -> Callable[[], None]:
    """What a network's loop calls on every turn. One that ended by itself touches nothing either."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / network
    file.touch()
    return file.touch


def main() -> int:
    """0 if every network's loop turns."""
    files = sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []
    if not files:
        print(f"unhealthy: {FOLDER} has no files: the listener has not begun")
        return 1
    ages = {file.name: time.time() - file.stat().st_mtime for file in files}
    stuck = {name: age for name, age in ages.items() if age > MAX_AGE_SECONDS}
    for name, age in stuck.items():
        print(f"unhealthy: the loop of {name} last turned {age:.0f} s ago; at most {MAX_AGE_SECONDS:.0f} s")
    if not stuck:
        print("healthy: " + ", ".join(f"{name} turned {age:.0f} s ago" for name, age in ages.items()))
    return 1 if stuck else 0


if __name__ == "__main__":
    sys.exit(main())
