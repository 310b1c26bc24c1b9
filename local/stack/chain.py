"""The EVM node of the local stack: anvil, with the demo launchpad deployed to it."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from local.errors import StepFailed
from local.stack.checkout import NPM_BIN, ROOT, node_environment, port_taken
from local.stack.processes import Child, spawn, wait_until_up

CHAIN_ID = 31337
FACTORY = "0x5FbDB2315678afecb367f032d93F642f64180aa3"
"""Address of the first contract that anvil's first account deploys. It follows from account and nonce."""

_MNEMONIC = "test test test test test test test test test test test junk"
_START_SECONDS = 90.0
_STATES = 512


class RpcError(Exception):
    """A JSON-RPC error response of the node."""


class Node:
    """A blocking JSON-RPC client without retries, for a node on a port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http_url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}"

    def call(self, method: str, *params: object) -> Any:
        """Return the result of a call, as JSON. Raises `RpcError`."""
        return self.batch([(method, list(params))])[0]

    def batch(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        """Return the results of many calls, sent in one request. Raises `RpcError` for the first that failed."""
        body = [{"jsonrpc": "2.0", "id": i, "method": m, "params": p} for i, (m, p) in enumerate(calls)]
        request = urllib.request.Request(self.http_url, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            replies = sorted(json.load(response), key=lambda reply: reply["id"])
        for reply, (method, _) in zip(replies, calls, strict=True):
            if "error" in reply:
                raise RpcError(f"{method}: {reply['error'].get('message')}")
        return [reply["result"] for reply in replies]

    def start(self, log: Path, *, block_time: float | None, accounts: int = 20) -> Child:
        """Start anvil. `block_time`: seconds between blocks; None to mine on demand only. Raises `StepFailed`."""
        if port_taken(self.port):
            advice = "stop the process that listens on it, or choose another port with --node-port N"
            raise StepFailed("anvil", f"port {self.port} is in use", advice)
        command = [str(NPM_BIN / "anvil"), "--port", str(self.port), "--chain-id", str(CHAIN_ID), "--quiet"]
        command += ["--mnemonic", _MNEMONIC, "--accounts", str(accounts), "--order", "fifo"]
        # Keep states in memory and none on disk: a reorganisation (anvil_reorg) to a block whose state is on disk
        # silently restarts from an empty chain (seen with anvil 1.7.1, after about 500 blocks).
        command += ["--prune-history", str(_STATES)]
        command += ["--no-mining"] if block_time is None else ["--block-time", f"{block_time:g}"]
        child = spawn("anvil", command, node_environment(), log, ROOT)
        return wait_until_up(child, lambda: self.call("eth_chainId"), _START_SECONDS, f"read {log}")

    def mine(self, blocks: int = 1) -> None:
        """Mine a number of blocks now."""
        for _ in range(blocks):
            self.call("evm_mine")

    def block_number(self) -> int:
        """Return the number of the newest block."""
        return int(self.call("eth_blockNumber"), 16)


def selector(signature: str) -> bytes:
    """Return the selector of a function: the first four bytes of its call data."""
    return keccak(text=signature)[:4]


def call_data(signature: str, *arguments: object) -> str:
    """Return the call data of a function call, e.g. `call_data("sell(uint256)", 5)`."""
    types = [t for t in signature[signature.index("(") + 1 : -1].split(",") if t]
    return "0x" + (selector(signature) + encode(types, list(arguments))).hex()


def bytecode(name: str) -> str:
    """Return the creation code of a compiled contract of contracts/."""
    code: str = json.loads((ROOT / "contracts" / "build" / f"{name}.json").read_text())["bytecode"]
    return code


def deploy_launchpad(node: Node, *, mine: bool) -> None:
    """Deploy the demo launchpad at `FACTORY`. Raises `StepFailed` if its address differs (the chain is not fresh)."""
    account = node.call("eth_accounts")[0]
    transaction = {"from": account, "data": bytecode("Launchpad"), "gas": hex(6_000_000)}
    hash_ = node.call("eth_sendTransaction", transaction)
    if mine:
        node.mine()
    receipt = wait_for_receipt(node, hash_)
    if receipt["contractAddress"].lower() != FACTORY.lower():
        why = f"its address is {receipt['contractAddress']} instead of {FACTORY}"
        raise StepFailed("demo launchpad", why, "start with a fresh node")


def wait_for_receipt(node: Node, hash_: str, seconds: float = 30.0) -> dict[str, Any]:
    """Wait until a transaction is mined and return its receipt. Raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        receipt: dict[str, Any] | None = node.call("eth_getTransactionReceipt", hash_)
        if receipt:
            return receipt
        time.sleep(0.02)
    raise TimeoutError(f"transaction {hash_} was not mined in {seconds:g} s")
