"""`chaincast dev --rpc URL`: a node of the user's is followed, for the one network that it is of."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from local.stack.chain import Node, deploy_launchpad
from local.stack.checkout import CHAINCAST, ROOT, free_port
from local.stack.demo_market import Market
from tests.e2e.test_command_line import SECONDS, processes_of


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A node that is not the local stack's: it mines by itself and has the demo launchpad."""
    node = Node(free_port())
    child = node.start(tmp_path / "anvil.log", block_time=0.2)
    try:
        deploy_launchpad(node, mine=False)
        yield node
    finally:
        child.stop()


def test_a_node_of_ones_own_is_followed(node: Node) -> None:
    port = free_port()
    ports = ["--port", str(port), "--console-port", str(free_port())]
    command = [CHAINCAST, "dev", *ports, "--rpc", node.ws_url, "--network", "anvil", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        tail = subprocess.Popen(
            [CHAINCAST, "tail", url, "--topic", "tokens:*", "--json", "--count", "1"], stdout=subprocess.PIPE, text=True
        )
        market = Market(node, seed=1)
        while tail.poll() is None:
            market.list_created(market.send([market.create_transaction()]))
            # Without a pause the listener would keep the emulator busy, and the client could not connect.
            with suppress(subprocess.TimeoutExpired):
                tail.wait(1)
        assert tail.stdout is not None
        assert json.loads(tail.stdout.read())["kind"] == "token.created"
        tail.stdout.close()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS) == 0
        process.stdout.close()
    assert processes_of(port) == []


def test_which_network_a_node_is_of_must_be_known() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local", "dev", "--rpc", "ws://127.0.0.1:1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "--network NAME" in done.stderr
