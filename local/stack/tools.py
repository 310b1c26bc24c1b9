"""Where this checkout keeps its tools, and the environments they run in."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build"
PYTHON = sys.executable
CHAINCAST = str(Path(sys.executable).with_name("chaincast"))
"""The command line, as a person runs it."""
MINISTACK_PYTHON = ROOT / ".ministack" / "bin" / "python"
NPM_BIN = ROOT / "node_modules" / ".bin"
REGION = "us-east-1"
ACCOUNT = "000000000000"


class StepFailed(Exception):
    """A step of starting the stack failed: which, why, and what to do about it."""

    def __init__(self, step: str, why: str, advice: str) -> None:
        super().__init__(f"{step} failed: {why}\n  what to do: {advice}")
        self.step = step


def node_environment() -> dict[str, str]:
    """This process's environment, with the Node.js that set-up chose in front of its PATH."""
    marker = ROOT / ".venv" / "node-path"
    directory = marker.read_text().strip() if marker.exists() else ""
    path = os.environ.get("PATH", "")
    return {**os.environ, "PATH": f"{directory}{os.pathsep}{path}" if directory else path}


def aws_environment(endpoint: str) -> dict[str, str]:
    """What makes the AWS SDKs and the CDK's command line talk to MiniStack, as its administrator."""
    kept = {k: v for k, v in node_environment().items() if not k.startswith(("AWS_", "CDK_", "CHAINCAST_"))}
    return kept | {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Which Node.js is too old is the set-up's business; its tools' banners drown what matters.
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
        "JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION": "1",
        "NODE_NO_WARNINGS": "1",
    }


def free_port() -> int:
    """A TCP port that is free on loopback now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_taken(port: int) -> bool:
    """Whether something listens on the port on loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
