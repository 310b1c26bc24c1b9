"""Making a chain's history block by block, and what events it should have given: read from the node, not from us."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

from eth_utils.crypto import keccak

from local.stack.chain import FACTORY, Node
from local.stack.checkout import ROOT
from local.stack.demo_market import Market

Log: TypeAlias = dict[str, Any]  # as JSON-RPC gives it


@dataclass(frozen=True, slots=True)
class Expected:
    """An event that a log of the chain stands for."""

    id: str
    kind: str
    block: int
    topics: frozenset[str]


class Miner:
    """A market, mined one block at a time."""

    def __init__(self, node: Node, market: Market) -> None:
        self.node = node
        self.market = market
        self._kinds = _kinds_by_topic0()

    def create_tokens(self, count: int) -> None:
        """Create tokens, in a block of their own."""
        hashes = self.market.send([self.market.create_transaction() for _ in range(count)])
        self.node.mine()
        self.market.list_created(hashes)
        self.market.refresh()

    def block(self, trades: int) -> int:
        """Mine a block of about `trades` trades; its number."""
        self.market.send(self.market.trade_transactions(trades))
        self.node.mine()
        return self.node.block_number()

    def blocks(self, count: int, trades: int) -> tuple[int, int]:
        """Mine blocks of trades; the first and last number. Now and then a block creates a token instead."""
        first = self.node.block_number() + 1
        for i in range(count):
            if i % 20 == 19:
                self.create_tokens(1)
            else:
                self.block(trades)
        return first, self.node.block_number()

    def expected(self, first: int, last: int, network: str = "anvil") -> list[Expected]:
        """The events that blocks `first`…`last` should give, in order, worked out from the node's own logs."""
        logs: list[Log] = self.node.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": hex(last)})
        tokens = {
            _address(log["topics"][2]): _address(log["topics"][1]) for log in logs if log["address"] == FACTORY.lower()
        }
        found = []
        for log in logs:
            kind = self._kinds.get(log["topics"][0])
            number = int(log["blockNumber"], 16)
            if kind is None or number < first:
                continue
            token = tokens.get(log["address"]) or _address(log["topics"][1])
            topics = {f"token:{network}:{token}", f"contract:{network}:{log['address']}", f"network:{network}"}
            if kind == "trade":
                topics.add(f"trades:{network}:{token}")
            if kind == "token.created":
                topics.add(f"tokens:{network}")
            id_ = f"{network}:{number}:{log['blockHash'][2:10]}:{int(log['logIndex'], 16)}"
            found.append(Expected(id_, kind, number, frozenset(topics)))
        return found


@contextmanager
def mining(miner: Miner, *, trades: int, every: float = 1.0, tokens_every: int = 0) -> Iterator[None]:
    """Mine a block with `trades` trades every `every` seconds, and a token before each `tokens_every`-th block."""
    over = threading.Event()

    def mine() -> None:
        due = time.monotonic()
        for number in count(1):
            if over.wait(max(0.0, due - time.monotonic())):
                return
            due += every
            if tokens_every and number % tokens_every == 0:
                miner.create_tokens(1)
            miner.block(trades)

    thread = threading.Thread(target=mine)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _address(topic: str) -> str:
    return "0x" + topic[-40:]


def _kinds_by_topic0() -> dict[str, str]:
    kinds = {
        "TokenCreated": "token.created",
        "Trade": "trade",
        "Graduated": "token.graduated",
        "LiquidityAdded": "liquidity.added",
    }
    found = {}
    for name in ("Launchpad", "BondingCurve"):
        for entry in json.loads((ROOT / "contracts" / "build" / f"{name}.json").read_text())["abi"]:
            if entry["type"] == "event":
                signature = f"{entry['name']}({','.join(i['type'] for i in entry['inputs'])})"
                found["0x" + keccak(text=signature).hex()] = kinds[entry["name"]]
    return found
