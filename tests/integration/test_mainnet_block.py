"""A real block with known answers: Ethereum's 17173049, served by a JSON-RPC server, through the whole listener."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from eth_abi.abi import decode
from eth_utils.crypto import keccak

from chaincast.config.load import parse
from chaincast.config.model import Config
from chaincast.model.events import Event
from listener.wiring import make_follower
from tests.integration.helpers import logged, until
from tests.simulation.recorded import FOLDER, MISSING, RecordedNode, lines
from tests.simulation.rpc import RpcServer

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)

SWAP = "Swap(address,uint256,uint256,uint256,uint256,address)"
SYNC = "Sync(uint112,uint112)"
PAIR_ABI = json.dumps(
    [
        {
            "type": "event",
            "name": "Swap",
            "inputs": [
                {"name": "sender", "type": "address", "indexed": True},
                *({"name": n, "type": "uint256"} for n in ("amount0In", "amount1In", "amount0Out", "amount1Out")),
                {"name": "to", "type": "address", "indexed": True},
            ],
        },
        {
            "type": "event",
            "name": "Sync",
            "inputs": [{"name": "reserve0", "type": "uint112"}, {"name": "reserve1", "type": "uint112"}],
        },
    ]
)


def configured(url: str) -> Config:
    contracts = "".join(
        f"""
[[networks.ethereum.contracts]]
adapter = "abi"
address = "*"
abi = '{abi}'
"""
        for abi in ("abis/erc20.json", "abis/erc721.json", PAIR_ABI)
    )
    return parse(f'[networks.ethereum]\nrpc_url = "{url}"\nstart_block = 17173049\n{contracts}')


async def indexed_events() -> list[Event]:
    """Return the events that the listener wrote for the block."""
    async with RpcServer({"mainnet": RecordedNode()}) as server:
        config = configured(server.http("mainnet"))
        follower = make_follower(config, "ethereum", config.networks["ethereum"], lambda: None)
        running = asyncio.create_task(follower.run())
        await until(logged)
        follower.stop()
        await running
    return [event for batch in logged() for event in batch.events]


def args_of(event: Event) -> dict[str, Any]:
    args = event.data["args"]
    assert isinstance(args, dict)
    return args


async def test_every_transfer_swap_and_sync_is_there_and_right() -> None:
    events = await indexed_events()
    transfers = [event for event in events if event.data["event"] == "Transfer"]
    found = [
        (event.contract, a["from"], a["to"], int(a.get("value") or a["tokenId"]), event.tx_hash, event.log_index)
        for event in transfers
        for a in [args_of(event)]
    ]
    names = ("token_address", "from_address", "to_address", "value", "transaction_hash", "log_index")
    assert found == [tuple(line[name] for name in names) for line in lines("token_transfers")]
    assert len(found) == 114
    for signature in (SWAP, SYNC):
        mine = {event.log_index: args_of(event) for event in events if event.data["signature"] == signature}
        assert mine == by_eth_abi(signature)
        assert len(mine) == 27


def by_eth_abi(signature: str) -> dict[int, dict[str, Any]]:
    topic0 = "0x" + keccak(text=signature).hex()
    found: dict[int, dict[str, Any]] = {}
    for log in lines("logs"):
        if log["topics"][0] != topic0:
            continue
        data = bytes.fromhex(log["data"][2:])
        if signature == SYNC:
            reserve0, reserve1 = decode(["uint112", "uint112"], data)
            found[log["log_index"]] = {"reserve0": str(reserve0), "reserve1": str(reserve1)}
            continue
        sender, to = (decode(["address"], bytes.fromhex(topic[2:]))[0] for topic in log["topics"][1:])
        amounts = zip(
            ("amount0In", "amount1In", "amount0Out", "amount1Out"), decode(["uint256"] * 4, data), strict=True
        )
        found[log["log_index"]] = {"sender": sender, **{name: str(value) for name, value in amounts}, "to": to}
    return found
