"""Child processes that write to a log file and never outlive their parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from local.errors import StepFailed

STOP_SECONDS = 3.0
_GONE_SECONDS = 2.0
_GONE_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Child:
    """A running process, the name to show for it, and the file that its output goes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def running(self) -> bool:
        """True until the process ends."""
        return self.process.poll() is None

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of its output."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """End the process and all that it started, with SIGKILL if `sig` does not suffice, and free their ports."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, sig)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._wait_for_the_group()

    def _wait_for_the_group(self) -> None:
        # A killed process holds its port until the kernel has removed it. Only direct children can be waited for, and
        # npm starts anvil as a child of a wrapper.
        deadline = time.monotonic() + _GONE_SECONDS
        while _group_lives(self.process.pid) and time.monotonic() < deadline:
            time.sleep(_GONE_POLL_SECONDS)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    # Zombies still belong to the group. In a container without an init process they remain until it stops.
    return sys.platform != "linux" or any(_lives_in(group, stat) for stat in Path("/proc").glob("[0-9]*/stat"))


def _lives_in(group: int, stat: Path) -> bool:
    try:
        state, _, of_group, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return False
    return int(of_group) == group and state not in ("Z", "X")


def wait_until_up(child: Child, probe: Callable[[], object], seconds: float, advice: str) -> Child:
    """Return the child as soon as `probe` raises no network error.

    Ends the child and raises `StepFailed` if that takes longer than `seconds`, or if the child ends.
    """
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and child.running:
            try:
                probe()
            except (OSError, HTTPException):
                time.sleep(0.05)
            else:
                return child
        raise StepFailed(child.name, f"it did not come up\n{child.tail()}", advice)
    except BaseException:
        child.stop()
        raise


def spawn(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path) -> Child:
    """Start a process in its own process group, with its output appended to `log`."""
    return _spawner.submit(_spawn, name, command, environment, log, cwd).result()


def _spawn(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, cwd: Path) -> Child:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one syscall
        )
    return Child(name, process, log)


_spawner = ThreadPoolExecutor(1, "spawner")
"""The thread that starts all children.

Linux sends the parent-death signal when the *thread* that created the child ends (prctl(2), PR_SET_PDEATHSIG). This
thread lives as long as the process.
"""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Ask Linux to end this child when its parent dies, even by SIGKILL."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
