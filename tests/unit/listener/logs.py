"""Logs of the demo launchpad, encoded by eth-abi, for tests of what reads them."""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from listener.sources.base import Block, RawLog

FACTORY = "0x" + "f0" * 20
MARKET = "0x" + "a1" * 20
TOKEN = "0x" + "b2" * 20
CREATOR = "0x" + "c3" * 20
TRADER = "0x" + "d4" * 20


def indexed(type_: str, value: object) -> bytes:
    return encode([type_], [value])


def make_log(address: str, topics: list[bytes], data: bytes, log_index: int = 0) -> RawLog:
    return RawLog(address, tuple(topics), data, log_index, "0x" + "ee" * 32)


def created(
    name: str | bytes = "Moon Cat", symbol: str = "MC", *, log_index: int = 0, address: str = FACTORY
) -> RawLog:
    topic0 = keccak(text="TokenCreated(address,address,address,string,string,uint256)")
    topics = [topic0, *(indexed("address", a) for a in (TOKEN, MARKET, CREATOR))]
    raw = name if isinstance(name, bytes) else name.encode()
    return make_log(address, topics, encode(["bytes", "bytes", "uint256"], [raw, symbol.encode(), 10**27]), log_index)


def trade(
    *, is_buy: bool = True, native: int = 10**18, tokens: int = 3 * 10**24, log_index: int = 1, address: str = MARKET
) -> RawLog:
    topic0 = keccak(text="Trade(address,bool,uint256,uint256,uint256,uint256)")
    data = encode(["uint256"] * 4, [native, tokens, 11 * 10**18, 9 * 10**26])
    return make_log(address, [topic0, indexed("address", TRADER), indexed("bool", is_buy)], data, log_index)


def graduated(*, log_index: int = 2) -> RawLog:
    topic0 = keccak(text="Graduated(uint256,uint256)")
    return make_log(MARKET, [topic0], encode(["uint256"] * 2, [10**27, 5 * 10**19]), log_index)


def liquidity_added(*, log_index: int = 3) -> RawLog:
    topic0 = keccak(text="LiquidityAdded(address,uint256,uint256,uint256)")
    return make_log(MARKET, [topic0, indexed("address", TRADER)], encode(["uint256"] * 3, [1, 2, 3]), log_index)


def block(*logs: RawLog, number: int = 12) -> Block:
    return Block(number, "0x" + "12345678" * 8, "0x" + "00" * 32, 1_700_000_000, logs)
