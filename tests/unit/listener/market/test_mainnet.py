"""The pairs of a real block, Ethereum's 17173049. The table has their tokens and decimals."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

import pytest
from eth_utils.crypto import keccak

from chaincast.model.discovered_contracts import Discovery
from listener.adapters.uniswap_v2 import UniswapV2
from listener.indexer import Indexer
from listener.market.engine import Market
from listener.market.settings import MarketSettings
from listener.sources.base import Block, RawLog
from tests.simulation.recorded import FOLDER, MISSING, lines

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason=MISSING)

WETH, USDT = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "0xdac17f958d2ee523a2206206994597c13d831ec7"
WETH_USDT = "0x0d4a11d5eeaac28ec3f61d100daf4d40471f1852"
PAIRS = {
    "0x7054b0f980a7eb5b3a6b3446f3c947d80162775c": ("0x1ce270557c1f68cfb577b856766310bf8b47fd9c", 18),
    "0xcd34b7adca16edd98f5db135bfd45c86026d89c6": ("0x83946345b86ee5ccc046de8c2ae4fcf1bad92317", 9),
    "0x5dff3fb682e0c4064c4ac3890a64c6c14a473d0d": ("0xb02edbccae654c8c4665681828731951804771ce", 9),
    "0xe798512852075af190fa3b22d380e093a1ff4b18": ("0xc99156c34260ae579c9eaf63f0e88fd47af064b9", 18),
    "0xb77c2290c5e5acd8ca4778876b3caae593741bab": ("0x86eab36585eddb7a949a0b4771ba733d942a8aa7", 9),
    "0x7bdb64fb70adb01c7bbfed98e4def7df70c8318b": ("0x9778ac3d5a2f916aa9abf1eb85c207d990ca2655", 18),
    "0x587ce73bb6bd41c8ff04d44517f159be79d64392": ("0x9be776559fed779cabd67042a7b8987aae592541", 18),
    "0x788d12d4d54a6cd7c68354b2c74bdb44c61c23b1": ("0x3bef42ac9fe692680dfa402515ef738c65acc657", 18),
    "0x7e25d99356976c155b46dba3d67d891342048959": ("0x9ce5d6239f24115c843778f9409f25b39207d657", 9),
    "0x14749d61502be607718448f1d6ee74068d7c9fb2": ("0xcd2b042e904a935b2f1f9f3a2a5e73070f24aecc", 18),
    "0x7cf25716c78f4db8adf5c0b0f3384e00ed26b5f4": ("0x98a013b4be7e9979cb2009a2777baeb07ab82e43", 9),
    "0xfe4c837de6598d0cb90188bf621779da449e223c": ("0xb656fe66e9360ce1e1c2ee84006a37b95c95b8b0", 18),
    "0x7939bbb48f4cc4256cd7561270dec41d0174973b": ("0xda591dfb79509eeaf4006936442210c290034e1a", 9),
    WETH_USDT: (USDT, 6),
    "0x7e3651eddcaaa8a50a2d11000c75cad27f3a5910": ("0xd87d72248093597df8d56d2a53c1ab7c1a0cc8da", 18),
    "0x5ead5462e7d98308e64bfe3c1d76845e5d2794a1": ("0x39207d2e2feef178fbda8083914554c59d9f8c00", 18),
    "0xe990ab540c9e2edc02e4cd1c4786308084dab0c1": ("0x8f4a616463e14442a6c26ea0c7f64db4ba9c4b9f", 18),
    "0xcefdea62bc57ab666913cb573f87404246262295": ("0x049715c70fdbdd2be4814f76a53dc3d6f4367756", 18),
    "0x888999fcbf3f094351ee00ba7df9c006af738c32": ("0xfe60fba03048effb4acf3f0088ec2f53d779d3bb", 18),
    "0x63f2a1b80af5b19da43ccccdf89b286155b92b7c": ("0x0414d8c87b271266a5864329fb4932bbe19c0c49", 18),
}
"""Pair → the token that is not WETH, and its decimals."""

SYNC = keccak(text="Sync(uint112,uint112)")


def indexed() -> Indexer:
    adapter = UniswapV2(["0x" + "f" * 40], WETH, [USDT])
    indexer = Indexer("ethereum", [adapter])
    facts = {"kind": "token", "symbol": "T", "name": "Token"}
    indexer.add_contracts([Discovery(adapter.name, WETH, 0, {**facts, "decimals": "18"})])
    for pair, (token, decimals) in PAIRS.items():
        token0, token1 = sorted((token, WETH))
        indexer.add_contracts([Discovery(adapter.name, token, 0, {**facts, "decimals": str(decimals)})])
        indexer.add_contracts([Discovery(adapter.name, pair, 0, {"kind": "pair", "token0": token0, "token1": token1})])
    return indexer


def block() -> Block:
    (header,) = lines("blocks")
    logs = tuple(
        RawLog(
            address=log["address"],
            topics=tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
            data=bytes.fromhex(log["data"][2:]),
            tx_hash=log["transaction_hash"],
            log_index=log["log_index"],
        )
        for log in lines("logs")
    )
    return Block(header["number"], header["hash"], header["parent_hash"], header["timestamp"], logs)


def expected(log: RawLog) -> tuple[str, str]:
    """The pair's token and its price, straight from the log's two reserves and the table's decimals."""
    reserve0, reserve1 = int.from_bytes(log.data[:32], "big"), int.from_bytes(log.data[32:], "big")
    token, decimals = PAIRS[log.address]
    of_token, of_weth = (reserve0, reserve1) if token < WETH else (reserve1, reserve0)
    price = Fraction(of_weth, 10**18) / Fraction(of_token, 10**decimals)
    if token == USDT:
        token, price = WETH, 1 / price
    rounded = Context(prec=18).divide(Decimal(price.numerator), Decimal(price.denominator))
    return token, f"{rounded.normalize(Context(prec=18)):f}"


def test_after_each_sync_the_price_is_the_ratio_of_the_reserves() -> None:
    mainnet = block()
    syncs = [log for log in mainnet.logs if log.topics and log.topics[0] == SYNC]
    events = {event.log_index: event for event in indexed().index(mainnet).events}
    market = Market("ethereum", MarketSettings(WETH, (USDT,), (WETH_USDT,)), 0)
    for number, log in enumerate(syncs, 1):
        event = events[log.log_index]
        token, price = expected(log)
        assert (event.kind, event.token, event.data["price"]) == ("reserves", token, price)
        for key in market.missing([event], mainnet.timestamp):
            market.load(key.token, None)
        # A block for each event, so that the engine computes the price after each.
        *_, told = market.advance(number, mainnet.hash, mainnet.timestamp, [event])
        assert (told.kind, told.token, told.data["price"]) == ("price", token, price)
    assert len(syncs) == 27
    assert {log.address for log in syncs} == set(PAIRS)


def test_the_whole_block_tells_each_tokens_price_once_in_dollars_too() -> None:
    mainnet = block()
    market = Market("ethereum", MarketSettings(WETH, (USDT,), (WETH_USDT,)), 0)
    events = indexed().index(mainnet).events
    for key in market.missing(events, mainnet.timestamp):
        market.load(key.token, None)
    told = market.advance(mainnet.number, mainnet.hash, mainnet.timestamp, events)
    prices = {event.token: event.data for event in told if event.kind == "price"}
    last = {
        token: price for log in mainnet.logs if log.topics and log.topics[0] == SYNC for token, price in [expected(log)]
    }
    assert {token: data["price"] for token, data in prices.items()} == last
    assert str(prices[WETH]["price_usd"]).startswith("1830.2")  # ether on 2 May 2023
    assert sum(int(str(data["trades_24h"])) for data in prices.values()) == 27
