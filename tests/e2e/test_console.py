"""A test of the live console in headless Chromium on a real stack, with a hundred events per second."""

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
"""Folder for screenshots at both widths and in both themes; empty for none."""

TRADES = 95
"""Trades of one block. With the prices that they cause they are about a hundred events."""


@pytest.mark.timeout(CONSOLE_SECONDS + 3 * SECONDS)
def test_the_console_shows_a_hundred_events_per_second(stack: LocalStack, miner: Miner) -> None:
    if why := why_no_browser():
        pytest.skip(f"Chromium does not start on this machine: {why}")
    port = free_port()
    console = start_console(
        stack.directory, port, websocket_url=stack.outputs.websocket_url, networks=("anvil",), auth="optional"
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
    report = json.loads(done.stdout)
    assert report["errors"] == []
    assert report["hindrances"] == [], "accessibility violations found by axe-core"
    assert report["wide"] == [], "elements that cause horizontal scrolling"
    assert report["state"] == "Live"
    assert report["events"] > 50
    assert report["shift"] < 0.02, report["shifted"]  # web.dev rates a cumulative layout shift under 0.1 as "good"
    assert (report["pressed"], report["tab"], report["stillHeld"]) == ("true", "tab-events true", True)
