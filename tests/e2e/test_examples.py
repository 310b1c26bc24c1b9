"""Tests of the examples, with the commands of their README, on a real stack."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import quote

import pytest

from local.stack.checkout import BUILD, ROOT, free_port, node_environment
from local.stack.console import serve_files
from local.stack.local_stack import LocalStack
from local.stack.processes import spawn, wait_until_up
from tests.client.package import build
from tests.e2e.client import SECONDS
from tests.e2e.mining import Miner, mining
from tests.e2e.node import CLIENTS, why_no_browser

EXAMPLES = ROOT / "examples"


def run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, env=node_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_until_output(stack: LocalStack, text: str, *command: str) -> None:
    """Run an example until its output contains a text."""
    log = BUILD / f"example-{free_port()}.log"
    child = spawn("example", command, node_environment() | {"CHAINCAST_URL": stack.outputs.websocket_url}, log, ROOT)

    def probe() -> None:
        if text not in child.log.read_text():
            raise BlockingIOError

    try:
        wait_until_up(child, probe, SECONDS, f"read {log}")
    finally:
        child.stop()
        log.unlink()


def test_the_bot_reports_large_trades(stack: LocalStack, miner: Miner) -> None:
    with mining(miner, trades=4, every=0.5):
        run_until_output(stack, "large: ", sys.executable, str(EXAMPLES / "python-bot" / "bot.py"))


def test_socket_io_prints_trades(stack: LocalStack, miner: Miner) -> None:
    run("npm", "--prefix", "examples/node-socketio", "ci", "--silent")
    with mining(miner, trades=4, every=0.5):
        run_until_output(stack, " at 0.0", "node", str(EXAMPLES / "node-socketio" / "index.mjs"))


@pytest.mark.parametrize("page", ["vanilla", "react"])
def test_pages_show_trades(stack: LocalStack, miner: Miner, page: str) -> None:
    if why := why_no_browser():
        pytest.skip(f"Chromium does not start on this machine: {why}")
    build()
    if page == "react":
        run("npm", "--prefix", "examples/react", "ci", "--silent")
        run("npm", "--prefix", "examples/react", "run", "build", "--silent")
    port = free_port()
    files = serve_files(ROOT, port, BUILD / f"example-{port}.log")
    url = f"http://127.0.0.1:{port}/examples/{page}/?url={quote(stack.outputs.websocket_url)}"
    try:
        with mining(miner, trades=4, every=0.5):
            text = run("node", str(CLIENTS / "page.mjs"), url, "ol li", "5")
    finally:
        files.stop()
        os.unlink(files.log)
    assert "Connection: open" in text
    assert "buy" in text or "sell" in text


def test_the_commands_are_those_of_the_readme() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    for command in (
        "npm --prefix examples/react ci",
        "npm --prefix examples/react run build",
        "npm --prefix examples/node-socketio ci",
        "node examples/node-socketio/index.mjs",
        ".venv/bin/python examples/python-bot/bot.py",
    ):
        assert command in readme
