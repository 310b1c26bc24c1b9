"""Paths of this checkout's tools, the environment variables that they run with, and TCP ports."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import sys
import tempfile
from pathlib import Path

from local.errors import StepFailed

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
PYTHON = sys.executable
CHAINCAST = str(Path(sys.executable).with_name("chaincast"))
"""Path of the `chaincast` executable."""
MINISTACK_PYTHON = ROOT / ".ministack" / "bin" / "python"
NPM_BIN = ROOT / "node_modules" / ".bin"
REGION = "us-east-1"
ACCOUNT = "000000000000"


def node_environment() -> dict[str, str]:
    """Return this process's environment, with the Node.js that set-up chose first on PATH."""
    marker = ROOT / ".venv" / "node-path"
    directory = marker.read_text().strip() if marker.exists() else ""
    path = os.environ.get("PATH", "")
    return {**os.environ, "PATH": f"{directory}{os.pathsep}{path}" if directory else path}


def aws_environment(endpoint: str) -> dict[str, str]:
    """Return an environment with which AWS SDKs and the CDK use MiniStack, as its administrator."""
    inherited = {k: v for k, v in node_environment().items() if not k.startswith(("AWS_", "CDK_", "CHAINCAST_"))}
    return inherited | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Set-up checks the version of Node.js; banners of its tools about versions would hide error messages.
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
        "NODE_NO_WARNINGS": "1",
    }


_PORTS = range(10_000, 32_000)
"""Ports below those that Linux gives to outgoing connections (net.ipv4.ip_local_port_range begins with 32768)."""


def free_port() -> int:
    """Return a TCP port that is free on loopback, and reserve it for this process among all that call this function.

    A port of the kernel's choice would be free only until another program asks for one, before a server uses it.
    """
    folder = Path(tempfile.gettempdir()) / f"chaincast-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for port in random.sample(_PORTS, len(_PORTS)):
        # A file descriptor that stays open until this process ends, which ends its lock.
        reservation = os.open(folder / str(port), os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            fcntl.flock(reservation, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            os.close(reservation)
            continue
        return port
    raise StepFailed("ports", "no port from 10000 to 31999 is free on loopback", "end programs that listen there")


def port_taken(port: int) -> bool:
    """Return True if a process listens on the port on loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
