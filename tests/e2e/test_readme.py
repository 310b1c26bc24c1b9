"""A test of the browser code in the README, unchanged, in Node.js."""

from __future__ import annotations

import re
import select
import subprocess
from typing import IO

from local.stack.checkout import ROOT, node_environment
from local.stack.local_stack import LocalStack
from tests.e2e.mining import Miner


def test_the_readmes_frontend_code_gets_events(stack: LocalStack, miner: Miner) -> None:
    found = re.search(r"```js\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found is not None
    code = found.group(1).replace("bsc-testnet", "anvil")
    program = f'const url = "{stack.outputs.websocket_url}";\n{code}'
    # Node.js 20 has the browser's WebSocket behind a flag, which later versions accept too.
    command = ["node", "--experimental-websocket", "--no-warnings", "--eval", program]
    process = subprocess.Popen(command, env=node_environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while not lines:
            miner.block(3)
            lines = [process.stdout.readline()] if _ready(process.stdout) else []
        assert lines[0].startswith("trade {")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _ready(output: IO[str]) -> bool:
    """Return True if there is output to read, after waiting a short time for it."""
    return bool(select.select([output], [], [], 0.2)[0])
