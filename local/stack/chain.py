"""The EVM node of the local stack: anvil, and the demo launchpad on it."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from local.stack.processes import Child, spawn, wait_until_up
from local.stack.tools import NPM_BIN, ROOT, StepFailed, node_environment, port_taken

CHAIN_ID = 31337
FACTORY = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
"""The first contract of anvil's first account: its address follows from the account and its nonce."""

_MNEMONIC = "test test test test test test test test test test test junk"
_START_SECONDS = 20.0
_STATES = 512


class RpcError(Exception):
    """The node answered with an error."""


class Node:
    """Calls of one JSON-RPC endpoint, for conducting a chain: blocking, plain, no retries."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http_url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"

    def call(self, method: str, *params: object) -> Any:
        """The result of a call, as JSON. Raises `RpcError`."""
        return self.batch([(method, list(params))])[0]

    def batch(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        """The results of many calls in one request. Raises `RpcError` for the first that failed."""
        body = [{"jsonrpc": "2.0", "id": i, "method": m, "params": p} for i, (m, p) in enumerate(calls)]
        request = urllib.request.Request(self.http_url, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answers = sorted(json.load(response), key=lambda a: a["id"])
        for answer, (method, _) in zip(answers, calls, strict=True):
            if "error" in answer:
                raise RpcError(f"{method}: {answer['error'].get('message')}")
        return [answer["result"] for answer in answers]

    def start(self, log: Path, *, block_time: float | None, accounts: int = 20) -> Child:
        """Start anvil; with `block_time` None it mines only when told to. Raises `StepFailed`."""
        if port_taken(self.port):
            raise StepFailed("anvil", f"port {self.port} is in use", "stop what listens there, or choose --port")
        command = [str(NPM_BIN / "anvil"), "--port", str(self.port), "--chain-id", str(CHAIN_ID), "--quiet"]
        command += ["--mnemonic", _MNEMONIC, "--accounts", str(accounts), "--order", "fifo"]
        # States in memory, none on disk: a reorganisation (anvil_reorg) back to a block whose state went to disk
        # silently begins from an empty chain (seen with anvil 1.7.1, from some 500 blocks on).
        command += ["--prune-history", str(_STATES)]
        command += ["--no-mining"] if block_time is None else ["--block-time", f"{block_time:g}"]
        child = spawn("anvil", command, node_environment(), log, ROOT)
        return wait_until_up(child, lambda: self.call("eth_chainId"), _START_SECONDS, f"read {log}")

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks now."""
        for _ in range(blocks):
            self.call("evm_mine")

    def block_number(self) -> int:
        return int(self.call("eth_blockNumber"), 16)


def selector(signature: str) -> bytes:
    """The first four bytes of a function's call data."""
    return keccak(text=signature)[:4]


def call_data(signature: str, *arguments: object) -> str:
    """Call data of a function, e.g. `call_data("sell(uint256)", 5)`."""
    types = [t for t in signature[signature.index("(") + 1 : -1].split(",") if t]
    return "0x" + (selector(signature) + encode(types, list(arguments))).hex()


def bytecode(name: str) -> str:
    """The creation code of a compiled contract of contracts/."""
    code: str = json.loads((ROOT / "contracts" / "build" / f"{name}.json").read_text())["bytecode"]
    return code


def deploy_launchpad(node: Node, *, mine: bool) -> None:
    """Put the demo launchpad at `FACTORY`. Raises `StepFailed` if it lands elsewhere (not a fresh anvil)."""
    account = node.call("eth_accounts")[0]
    transaction = {"from": account, "data": bytecode("Launchpad"), "gas": hex(6_000_000)}
    hash_ = node.call("eth_sendTransaction", transaction)
    if mine:
        node.mine()
    receipt = wait_for_receipt(node, hash_)
    if receipt["contractAddress"].lower() != FACTORY.lower():
        raise StepFailed(
            "demo launchpad", f"it is at {receipt['contractAddress']}, not at {FACTORY}", "start on a fresh node"
        )


def wait_for_receipt(node: Node, hash_: str, seconds: float = 30.0) -> dict[str, Any]:
    """A transaction's receipt once it is mined. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if receipt := node.call("eth_getTransactionReceipt", hash_):
            found: dict[str, Any] = receipt
            return found
        time.sleep(0.02)
    raise TimeoutError(f"transaction {hash_} was not mined in {seconds:g} s")
