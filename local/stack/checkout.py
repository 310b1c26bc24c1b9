"""Paths of this checkout's tools, the environment variables that they run with, and TCP ports."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

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


def free_port() -> int:
    """Return a TCP port that is currently free on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(port: int) -> bool:
    """Return True if a process listens on the port on loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
