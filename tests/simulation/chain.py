"""A chain in memory, and nodes that serve it as JSON-RPC nodes do, including their faults."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from eth_utils.crypto import keccak

from listener.sources.base import RawLog
from listener.sources.bloom import compute_bloom

Entry: TypeAlias = tuple[str, Sequence[bytes], bytes]
"""A log to be: address, topics, data."""

Document: TypeAlias = dict[str, Any]  # as JSON-RPC has it

ADDRESS = "0x" + "aa" * 20
TOPIC = keccak(text="Happened(uint256)")
ABI = json.dumps([{"type": "event", "name": "Happened", "inputs": [{"name": "n", "type": "uint256"}]}])
"""A contract whose every log is an event, for chains that need no more."""

GENESIS_TIME = 1_700_000_000


@dataclass(frozen=True, slots=True)
class SimBlock:
    number: int
    hash: str
    parent: str
    timestamp: int
    logs: tuple[Document, ...]
    bloom: str

    def header(self) -> Document:
        return {
            "number": hex(self.number),
            "hash": self.hash,
            "parentHash": self.parent,
            "timestamp": hex(self.timestamp),
            "logsBloom": self.bloom,
        }


class Chain:
    """The canonical chain. Block 0 is there from the start."""

    def __init__(self, block_seconds: int = 1, genesis_time: int = GENESIS_TIME) -> None:
        self._block_seconds = block_seconds
        self._genesis_time = genesis_time
        self._salt = 0
        self.blocks: list[SimBlock] = []
        self.mine()

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    def mine(self, *entries: Entry) -> SimBlock:
        """A block on top with these logs."""
        number = len(self.blocks)
        parent = self.blocks[-1].hash if self.blocks else "0x" + "00" * 32
        hash_ = "0x" + keccak(text=f"{parent} {number} {self._salt}").hex()
        logs = tuple(self._log(number, hash_, index, entry) for index, entry in enumerate(entries))
        raw = [RawLog(a.lower(), tuple(t), d, 0, "") for a, t, d in entries]
        bloom = "0x" + compute_bloom(raw).to_bytes(256, "big").hex()
        block = SimBlock(number, hash_, parent, self._genesis_time + number * self._block_seconds, logs, bloom)
        self.blocks.append(block)
        return block

    def reorganise(self, depth: int, *branch: Sequence[Entry]) -> None:
        """Take `depth` blocks back and put others in their place, one of each of `branch`."""
        del self.blocks[max(1, len(self.blocks) - depth) :]
        self._salt += 1
        for entries in branch:
            self.mine(*entries)

    def _log(self, number: int, hash_: str, index: int, entry: Entry) -> Document:
        address, topics, data = entry
        return {
            "address": address,
            "topics": ["0x" + topic.hex() for topic in topics],
            "data": "0x" + data.hex(),
            "blockNumber": hex(number),
            "blockHash": hash_,
            "logIndex": hex(index),
            "transactionHash": "0x" + keccak(text=f"{hash_} {index}").hex(),
        }

    def ids(self, network: str, first: int = 0) -> list[str]:
        """The ids of the events that all logs stand for."""
        return [
            f"{network}:{block.number}:{block.hash[2:10]}:{int(log['logIndex'], 16)}"
            for block in self.blocks[first:]
            for log in block.logs
        ]


class RpcError(Exception):
    """An error that the node answers with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.answer = {"code": code, "message": message}


@dataclass(slots=True)
class HttpStatus:
    """A scripted answer that is no JSON-RPC."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class Node:
    """A node of a chain with a provider's limits, which may be some blocks behind.

    `script[method]` is the result of the next calls: an `RpcError`, an `HttpStatus`, "null", "empty" (no logs), "hang"
    (no response), "drop" (of the connection), or None (a correct response).
    """

    def __init__(self, chain: Chain, chain_id: int = 1337) -> None:
        self.chain = chain
        self.chain_id = chain_id
        self.behind = 0
        self.max_range: int | None = None
        self.max_results: int | None = None
        self.silent = False
        """If True, the node no longer pushes heads, without an error."""
        self.script: dict[str, deque[RpcError | HttpStatus | str | None]] = defaultdict(deque)
        self.answers: dict[tuple[str, str], bytes] = {}
        """To eth_call, by address and data (hex); all others revert."""
        self.calls: list[tuple[str, list[Any]]] = []
        self._stale: list[SimBlock] | None = None

    def freeze(self) -> None:
        """From now on it knows the chain as it is now, and nothing new."""
        self._stale = list(self.chain.blocks)

    def thaw(self) -> None:
        self._stale = None

    @property
    def blocks(self) -> list[SimBlock]:
        blocks = self.chain.blocks if self._stale is None else self._stale
        return blocks[: len(blocks) - self.behind] if self.behind else blocks

    def next_step(self, method: str) -> RpcError | HttpStatus | str | None:
        """Return the scripted result of the next call of a method."""
        self.calls.append((method, []))
        steps = self.script[method]
        return steps.popleft() if steps else None

    def answer(self, method: str, params: Sequence[Any], step: str | None = None) -> Any:
        """The result of a call. Raises `RpcError`."""
        self.calls[-1:] = [(method, list(params))]
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_blockNumber":
                return hex(len(self.blocks) - 1)
            case "eth_getBlockByNumber":
                block = self._block(int(params[0], 16))
                return None if block is None or step == "null" else block.header()
            case "eth_getLogs":
                return [] if step == "empty" else self._logs(params[0])
            case "eth_getBlockReceipts":
                block = self._block(int(params[0], 16))
                return None if block is None else [{"logs": [log]} for log in block.logs]
            case "eth_call":
                found = self.answers.get((params[0]["to"], params[0]["data"]))
                if found is None:
                    raise RpcError(3, "execution reverted")
                return "0x" + found.hex()
        raise RpcError(-32601, f"the method {method} does not exist")

    def _block(self, number: int) -> SimBlock | None:
        return self.blocks[number] if number < len(self.blocks) else None

    def _logs(self, wanted: Document) -> list[Document]:
        if "blockHash" in wanted:
            blocks = [block for block in self.blocks if block.hash == wanted["blockHash"]]
            if not blocks:
                raise RpcError(-32000, "unknown block")
        else:
            first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
            if self.max_range is not None and last - first + 1 > self.max_range:
                raise RpcError(-32602, f"block range too large: at most {self.max_range} blocks")
            blocks = self.blocks[first : last + 1]
        addresses = [a.lower() for a in wanted.get("address", [])]
        topics0 = wanted.get("topics", [[]])[0]
        found = [
            log
            for block in blocks
            for log in block.logs
            if (not addresses or log["address"].lower() in addresses)
            and (not topics0 or (log["topics"] and log["topics"][0] in topics0))
        ]
        if self.max_results is not None and len(found) > self.max_results:
            raise RpcError(-32005, f"query returned more than {self.max_results} results")
        return found
