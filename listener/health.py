"""Health of the container: each network's loop touches a file, and `python -m listener.health` checks its age.

A loop that hangs (a call that never returns, code that never awaits) touches nothing, and the container is replaced.
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


def liveness_marker(network: str) -> Callable[[], None]:
    """Return the function by which a network's loop reports that it is alive."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / network
    file.touch()
    return file.touch


def main() -> int:
    """Print the state of every network's loop. Return 0 if all are alive."""
    files = sorted(FOLDER.iterdir()) if FOLDER.is_dir() else []
    if not files:
        print(f"unhealthy: {FOLDER} is empty: the listener has not started")
        return 1
    ages = {file.name: time.time() - file.stat().st_mtime for file in files}
    stuck = {name: age for name, age in ages.items() if age > MAX_AGE_SECONDS}
    for name, age in stuck.items():
        print(f"unhealthy: the loop of {name} last ran {age:.0f} s ago; at most {MAX_AGE_SECONDS:.0f} s are allowed")
    if not stuck:
        print("healthy: " + ", ".join(f"{name} ran {age:.0f} s ago" for name, age in ages.items()))
    return 1 if stuck else 0


if __name__ == "__main__":
    sys.exit(main())
