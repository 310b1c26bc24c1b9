"""Tests of the choice of ports: processes that run at the same time never get the same one."""

from __future__ import annotations

import socket
import subprocess
import sys

from local.stack.checkout import ROOT, free_port

PROGRAM = """
import sys
from local.stack.checkout import free_port
print(*(free_port() for _ in range(40)), flush=True)
sys.stdin.read()
"""


def test_processes_at_the_same_time_get_different_ports() -> None:
    command = [sys.executable, "-c", PROGRAM]
    programs = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    ports: list[int] = []
    for program in programs:
        assert program.stdout is not None
        ports += map(int, program.stdout.readline().split())
    for program in programs:
        program.communicate()
    assert len(ports) == len(set(ports)) == 120


def test_a_port_in_use_is_not_free() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert port not in {free_port() for _ in range(50)}
