"""Tests of child processes: they are awaited, stopped with all that they started, and free their ports."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from local.errors import StepFailed
from local.stack.checkout import port_taken
from local.stack.processes import Child, spawn, wait_until_up

SLEEPS = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""

SERVER = """
import socket, time
# Memory that takes the kernel a while to free, and a port that it frees only after that.
memory, server = bytearray(200_000_000), socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
time.sleep(600)
"""
PARENT_OF_A_SERVER = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {SERVER!r}])
time.sleep(600)
"""


def start(tmp_path: Path, *command: str) -> Child:
    return spawn("child", command, os.environ, tmp_path / "child.log", tmp_path)


def has_printed(child: Child) -> None:
    if not child.tail():
        raise BlockingIOError


def parent_of(tmp_path: Path, code: str) -> tuple[Child, int]:
    """Start a child that has a child itself. Return it, with the number that it printed."""
    child = start(tmp_path, sys.executable, "-c", code)
    wait_until_up(child, lambda: has_printed(child), 30, "")
    return child, int(child.tail())


def exists(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_a_child_is_waited_for_and_stopped_with_its_output_kept(tmp_path: Path) -> None:
    child = start(tmp_path, *SLEEPS)
    assert wait_until_up(child, lambda: has_printed(child), 30, "") is child
    assert child.process.poll() is None
    assert child.tail() == "up"
    child.stop()
    assert not child.running
    child.stop()


def test_a_child_that_ends_is_a_failed_step_with_its_last_output(tmp_path: Path) -> None:
    def never() -> None:
        raise ConnectionRefusedError

    child = start(tmp_path, sys.executable, "-c", "print('port taken'); raise SystemExit(3)")
    with pytest.raises(StepFailed, match="port taken"):
        wait_until_up(child, never, 30, "look")


def test_stopping_ends_what_the_child_started(tmp_path: Path) -> None:
    child, grandchild = parent_of(tmp_path, PARENT)
    assert exists(grandchild)
    child.stop()
    assert not exists(grandchild)


def test_the_ports_of_stopped_processes_are_free(tmp_path: Path) -> None:
    child, port = parent_of(tmp_path, PARENT_OF_A_SERVER)
    assert port_taken(port)
    child.stop()
    assert not port_taken(port)


def test_a_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    started: list[Child] = []
    thread = threading.Thread(target=lambda: started.append(start(tmp_path, *SLEEPS)))
    thread.start()
    thread.join()
    wait_until_up(started[0], lambda: has_printed(started[0]), 30, "")
    assert started[0].running
    started[0].stop()
