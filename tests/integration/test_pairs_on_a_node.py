"""Uniswap V2's adapter with contracts on a real node: its events equal what the node returns about the pairs."""

from __future__ import annotations

import asyncio
import random
from decimal import Context, Decimal
from typing import Any

import pytest
from eth_abi.abi import decode, encode

from chaincast.config.load import parse
from chaincast.config.model import Config
from chaincast.model.events import Event
from listener.wiring import make_follower
from local.stack.chain import CHAIN_ID, Node, bytecode, call_data, wait_for_receipt
from tests.integration.helpers import logged, until

SUPPLY = 10**27
GAS = hex(3_000_000)


class Exchange:
    """A factory, tokens and pairs on a node; each step is a block of its own."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.owner: str = node.call("eth_accounts")[0]
        self.factory = self.deploy("PairFactory")
        self.cat = self.deploy("LaunchToken", "Moon Cat", "CAT")
        self.dog = self.deploy("LaunchToken", "Sun Dog", "DOG")
        self.native = self.deploy("LaunchToken", "Wrapped", "WETH")

    def deploy(self, contract: str, *texts: str) -> str:
        arguments = encode(["string", "string", "uint256", "address"], [*texts, SUPPLY, self.owner]) if texts else b""
        receipt = self.send({"data": bytecode(contract) + arguments.hex()})
        address: str = receipt["contractAddress"].lower()
        return address

    def send(self, transaction: dict[str, str]) -> dict[str, Any]:
        hash_ = self.node.call("eth_sendTransaction", {"from": self.owner, "gas": GAS, **transaction})
        self.node.mine()
        receipt = wait_for_receipt(self.node, hash_)
        assert receipt["status"] == "0x1"
        return receipt

    def ask(self, address: str, signature: str, types: list[str], *arguments: object, block: str = "latest") -> Any:
        answer = self.node.call("eth_call", {"to": address, "data": call_data(signature, *arguments)}, block)
        return decode(types, bytes.fromhex(answer[2:]))

    def create_pair(self, token: str) -> str:
        self.send({"to": self.factory, "data": call_data("createPair(address,address)", token, self.native)})
        (pair,) = self.ask(self.factory, "getPair(address,address)", ["address"], token, self.native)
        found: str = pair.lower()
        for each, amount in ((token, 10**24), (self.native, 10**21)):
            self.send({"to": each, "data": call_data("transfer(address,uint256)", found, amount)})
        self.send({"to": found, "data": call_data("mint()")})
        return found

    def swap(self, pair: str, token: str, dice: random.Random) -> None:
        """Sell either the token or the native coin for what the pair gives."""
        zero = self.ask(pair, "token0()", ["address"])[0].lower()
        reserves = self.ask(pair, "getReserves()", ["uint112", "uint112", "uint32"])
        sold = dice.choice([token, self.native])
        place = 0 if sold == zero else 1
        amount = int(reserves[place] * dice.uniform(0.0001, 0.05))
        out = amount * 997 * reserves[1 - place] // (reserves[place] * 1000 + amount * 997)
        self.send({"to": sold, "data": call_data("transfer(address,uint256)", pair, amount)})
        outs = (0, out) if place == 0 else (out, 0)
        self.send({"to": pair, "data": call_data("swap(uint256,uint256,address)", *outs, self.owner)})

    def reserves(self, pair: str, token: str, block: int) -> tuple[int, int]:
        """Return the reserves of the token and of the native coin after a block."""
        zero = self.ask(pair, "token0()", ["address"])[0].lower()
        first, second, _ = self.ask(pair, "getReserves()", ["uint112", "uint112", "uint32"], block=hex(block))
        return (first, second) if zero == token else (second, first)

    def configured(self) -> Config:
        return parse(f"""
[networks.local]
chain_id = {CHAIN_ID}
rpc_url = "{self.node.ws_url}"
block_ms = 200
wrapped_native = "{self.native}"
[[networks.local.contracts]]
adapter = "uniswap_v2"
address = "{self.factory}"
""")


@pytest.fixture
def exchange(silent_node: Node) -> Exchange:
    return Exchange(silent_node)


def told() -> list[Event]:
    return [event for batch in logged() for event in batch.events]


async def test_old_and_new_pairs_trade_and_every_figure_is_the_nodes(exchange: Exchange) -> None:
    dice = random.Random(3)
    older = await asyncio.to_thread(exchange.create_pair, exchange.cat)
    config = exchange.configured()
    follower = make_follower(config, "local", config.networks["local"], lambda: None)
    running = asyncio.create_task(follower.run())
    await until(lambda: follower.done is not None)  # from here on: `start_block` is latest
    newer = await asyncio.to_thread(exchange.create_pair, exchange.dog)
    pairs = {older: exchange.cat, newer: exchange.dog}
    for _ in range(15):
        pair = dice.choice([older, newer])
        await asyncio.to_thread(exchange.swap, pair, pairs[pair], dice)
    burn = call_data("burn(uint256,uint256,address)", 10**18, 10**15, exchange.owner)
    await asyncio.to_thread(exchange.send, {"to": newer, "data": burn})
    head = exchange.node.block_number()
    await until(lambda: follower.done == head)
    follower.stop()
    await running

    events = told()
    trades = [event for event in events if event.kind == "trade"]
    assert len(trades) == 15
    assert {event.token for event in trades} == {exchange.cat, exchange.dog}
    kinds = [event.kind for event in events if event.contract == newer and event.kind not in ("trade", "alert")]
    assert (kinds[:2], kinds[-2:]) == (["liquidity.added", "price"], ["liquidity.removed", "price"])
    assert set(kinds[2:-2]) == {"price"}
    for event in events:
        if event.kind == "contract.event":
            assert event.data["event"] == "PairCreated"
        if event.kind in ("contract.event", "alert"):
            continue
        assert event.contract is not None
        assert event.block is not None
        check(exchange, event, pairs[event.contract])


def check(exchange: Exchange, event: Event, token: str) -> None:
    """An event's figures against what the node says of the pair before and after its block."""
    assert event.contract is not None
    assert event.block is not None
    assert event.data["symbol"] == ("CAT" if token == exchange.cat else "DOG")
    assert event.data["quote_symbol"] == "WETH"
    mine, native = exchange.reserves(event.contract, token, event.block)
    assert (event.data["token_reserve"], event.data["quote_reserve"]) == (str(mine), str(native))
    ratio = Context(prec=18).divide(Decimal(native), Decimal(mine))
    assert Decimal(str(event.data["price"])) == ratio
    if event.kind == "trade":
        before, native_before = exchange.reserves(event.contract, token, event.block - 2)  # before the coins came in
        assert event.data["side"] == ("buy" if mine < before else "sell")
        assert event.data["token_amount"] == str(abs(mine - before))
        assert event.data["quote_amount"] == str(abs(native - native_before))
        assert event.data["trader"] == exchange.owner.lower()
