"""The live console in headless Chromium on a real stack, while a hundred events a second happen."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from local.stack.checkout import free_port, node_environment
from local.stack.console import start_console
from local.stack.local_stack import LocalStack
from tests.e2e.client import SECONDS
from tests.e2e.mining import Miner, mining
from tests.e2e.node import CLIENTS, why_no_browser

CONSOLE_SECONDS = float(os.environ.get("CHAINCAST_CONSOLE_SECONDS", "6"))
PICTURES = os.environ.get("CHAINCAST_CONSOLE_PICTURES", "")
"""A folder for pictures of it, at both widths and in both themes."""

TRADES = 95
"""A block; with the prices that come of them some hundred events."""


@pytest.mark.timeout(CONSOLE_SECONDS + 3 * SECONDS)
def test_the_console_shows_a_hundred_events_a_second_to_everybody(stack: LocalStack, miner: Miner) -> None:
    if why := why_no_browser():
        pytest.skip(f"Chromium does not start on this machine: {why}")
    port = free_port()
    console = start_console(
        stack.run, port, websocket_url=stack.outputs.websocket_url, networks=("anvil",), auth="optional"
    )
    try:
        with mining(miner, trades=TRADES, tokens_every=10):
            command = [
                "node",
                str(CLIENTS / "console.mjs"),
                f"http://127.0.0.1:{port}/",
                str(CONSOLE_SECONDS),
                PICTURES,
            ]
            done = subprocess.run(command, env=node_environment(), capture_output=True, text=True, check=False)
    finally:
        console.stop()
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    found = json.loads(done.stdout)
    assert found["errors"] == []
    assert found["hindrances"] == [], "what axe-core finds in the way of keyboards and screen readers"
    assert found["wide"] == [], "nothing to scroll sideways"
    assert found["state"] == "Live"
    assert found["events"] > 50
    assert found["shift"] < 0.02, found["shifted"]  # under 0.1 is "good", says web.dev of the cumulative layout shift
    assert (found["pressed"], found["tab"], found["stillHeld"]) == ("true", "tab-events true", True)
