"""The live console of the local stack: a server for the page's files on a port of loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.errors import StepFailed
from local.stack.checkout import PYTHON, ROOT, node_environment, port_taken
from local.stack.processes import Child, spawn, wait_until_up

_START_SECONDS = 90.0


def start_console(directory: Path, port: int, *, websocket_url: str, networks: Sequence[str], auth: str) -> Child:
    """Build the page and serve it. Raises `StepFailed`."""
    if port_taken(port):
        advice = "stop the process that listens on it, or choose another port with --console-port N"
        raise StepFailed("console", f"port {port} is in use", advice)
    folder = directory / "console"
    command = ["node", str(ROOT / "console" / "build.mjs"), str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=node_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed("console", f"the build failed\n{done.stderr.strip()[-2000:]}", "run make setup first")
    config = {"url": websocket_url, "networks": [*networks], "auth": auth}
    (folder / "config.json").write_text(json.dumps(config))
    return serve_files(folder, port, directory / "console.log")


def serve_files(folder: Path, port: int, log: Path) -> Child:
    """Serve a folder's files on a port of loopback, in a child process. Raises `StepFailed`."""
    child = spawn("console", [PYTHON, "-m", "local.stack.console", str(port), str(folder)], os.environ, log, ROOT)

    def probe() -> None:
        socket.create_connection(("127.0.0.1", port), 1).close()

    return wait_until_up(child, probe, _START_SECONDS, f"read {log}")


class FileHandler(SimpleHTTPRequestHandler):
    """Serves the current files of a folder, without caching."""

    protocol_version = "HTTP/1.1"

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        # Pages under development, which another server serves, read config.json as well.
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


def main(port: int, folder: str) -> None:
    """Serve a folder until the process ends."""
    with ThreadingHTTPServer(("127.0.0.1", port), partial(FileHandler, directory=folder)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
