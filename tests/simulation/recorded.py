"""One block of a real chain, as a node has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.simulation.chain import Chain, Node, SimBlock

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "mainnet-17173049"
MISSING = f"no {FOLDER}: real chain data is beside the project, not in it"


def lines(name: str) -> list[dict[str, Any]]:
    """The objects of one of the files."""
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text().splitlines()]


class RecordedNode(Node):
    """Has Ethereum's block 17173049, and no other."""

    def __init__(self) -> None:
        super().__init__(Chain(), chain_id=1)
        (block,) = lines("blocks")
        self.number: int = block["number"]
        logs = tuple(
            {
                "address": log["address"],
                "topics": log["topics"],
                "data": log["data"],
                "blockNumber": hex(log["block_number"]),
                "blockHash": log["block_hash"],
                "logIndex": hex(log["log_index"]),
                "transactionHash": log["transaction_hash"],
            }
            for log in lines("logs")
        )
        bloom = block["logs_bloom"]
        self._block_itself = SimBlock(self.number, block["hash"], block["parent_hash"], block["timestamp"], logs, bloom)

    @property
    def blocks(self) -> list[SimBlock]:
        return _Sparse([self._block_itself])

    def _block(self, number: int) -> SimBlock | None:
        return self._block_itself if number == self.number else None


class _Sparse(list[SimBlock]):
    """Found by number, as if all those before were there."""

    def __len__(self) -> int:
        return 1 + max(block.number for block in self)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return [block for block in self if key.start <= block.number < key.stop]
        return super().__getitem__(key)
