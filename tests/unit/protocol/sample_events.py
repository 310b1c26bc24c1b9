"""Sample events of the chain and of backends, for the tests of the dialects."""

from __future__ import annotations

from chaincast.model.events import Event, Json
from chaincast.model.topics import alert_topics
from tests.factories import MARKET, TOKEN, make_event

CHAINS = {"anvil": 31_337, "bsc-testnet": 97}
TRADER = "0x" + "dd" * 20

CREATED = make_event(
    1,
    kind="token.created",
    data={
        "token": TOKEN,
        "market": MARKET,
        "creator": TRADER,
        "name": "Meme Token",
        "symbol": "MEME",
        "supply": "1000000000" + "0" * 18,
    },
)
TRADE = make_event(
    2,
    data={
        "market": MARKET,
        "name": "Meme Token",
        "symbol": "MEME",
        "trader": TRADER,
        "side": "buy",
        "native_amount": "2500000000000000000",
        "token_amount": "10000" + "0" * 18,
        "native_reserve": "5" + "0" * 18,
        "token_reserve": "9" + "0" * 20,
        "price": "0.00025",
    },
)
SWAP = make_event(
    3,
    network="bsc-testnet",
    data={
        "market": MARKET,
        "name": "Moon Cat",
        "symbol": "CAT",
        "token_decimals": 9,
        "quote": "0x" + "ee" * 20,
        "quote_symbol": "USDT",
        "quote_decimals": 6,
        "trader": TRADER,
        "sender": TRADER,
        "side": "sell",
        "token_amount": "12500000000",
        "quote_amount": "3750000",
        "token_reserve": "1",
        "quote_reserve": "1",
        "price": "0.3",
    },
)
PRICE_DATA: dict[str, Json] = {
    "market": MARKET,
    "name": "Meme Token",
    "symbol": "MEME",
    "token_decimals": 18,
    "price": "0.00025",
    "price_native": "0.00025",
    "price_usd": None,
    "change_24h": 15.5,
    "volume_24h": "1250" + "0" * 18,
    "volume_24h_usd": None,
    "trades_24h": 3,
    "liquidity": "500" + "0" * 18,
    "liquidity_usd": None,
}
PRICE = make_event(4, kind="price", data=PRICE_DATA)
PRICE_IN_DOLLARS = make_event(
    5, kind="price", data={**PRICE_DATA, "price_usd": "0.5", "volume_24h_usd": 1250000.0, "liquidity_usd": 500000.0}
)
GRADUATED = make_event(
    6,
    kind="token.graduated",
    data={
        "market": MARKET,
        "name": "Meme Token",
        "symbol": "MEME",
        "final_supply": "8" + "0" * 26,
        "total_raised": "69" + "0" * 18,
    },
)
LIQUIDITY = make_event(
    7,
    kind="liquidity.added",
    data={
        "market": MARKET,
        "name": "Meme Token",
        "symbol": "MEME",
        "pair": "0x" + "ff" * 20,
        "native_amount": "69" + "0" * 18,
        "token_amount": "2" + "0" * 26,
        "liquidity": "117" + "0" * 18,
    },
)
CONTRACT_ID = "ST1PQHQKV0RJXZFY1DGX8MNSNYVE3VGZJSRTPGZGM.campaigns"
CAMPAIGN = make_event(
    8,
    kind="contract.event",
    contract=CONTRACT_ID,
    token=None,
    data={"event": "campaign_created", "args": {"campaign-id": 7, "budget": "1000000"}},
)


def alert(type_: str, **facts: Json) -> Event:
    about: dict[str, Json] = {
        "type": type_,
        "severity": "warning",
        "title": "Whale Alert: MEME",
        "message": "Whale buy: 2.5 native of MEME",
        "name": "Meme Token",
        "symbol": "MEME",
        "market": MARKET,
    }
    event = make_event(9, kind="alert", data=about | facts)
    return Event(
        **{name: getattr(event, name) for name in event.__slots__ if name != "topics"},
        topics=alert_topics(type_, "anvil", TOKEN),
    )


WHALE = alert(
    "whale",
    side="buy",
    trader=TRADER,
    value="2500000000000000000",
    value_usd=None,
    token_amount="10000" + "0" * 18,
    token_decimals=18,
    liquidity_percent=12.5,
)
MOVED = alert("price", percent=25.0, minutes=5, price_native="0.0003")


def published(kind: str, *topics: str, **data: Json) -> Event:
    """Return an event that a backend published."""
    return Event(id="app-0:0123456789abcdef0123", kind=kind, timestamp=1_700_000_000_123, topics=topics, data=data)


PUBLISHED_PRICE = published("price", "price:BTC-USDC", symbol="BTC-USDC", price=45000.5, change=2.5, volume=1234567.89)
BOOK = published(
    "order_book", "orderbook:ETH-USDC", symbol="ETH-USDC", bids=[[2500.0, 1.5]], asks=[[2501.0, 1.2], [2501.5, 0.8]]
)
PUBLISHED_TRADE = published("trade", "trade:ETH-USDC", symbol="ETH-USDC", price=2500.0, amount=1.5, side="buy")
OWN_TRADE = published("trade", "user:user_123", symbol="ETH-USDC", price=2500.0, amount=1.5, side="sell", personal=True)
ORDER = published(
    "order",
    "orders:user_123",
    "user:user_123",
    orderId="order_123",
    status="filled",
    tokenIn="ETH",
    tokenOut="USDC",
    amountIn="1.0",
    amountOut="2150.45",
    chainId=8453,
)
PORTFOLIO = published(
    "portfolio", "portfolio:user_123", "user:user_123", totalValue=10500.25, pnl=1250.5, positions=[], chainId=8453
)
ANNOUNCEMENT = published("system.alert", "system", level="info", message="PEPE is now available for trading")
OWN_KIND = published("candle", "events:candle:ETH", symbol="ETH", open=1, close=2)

EVERYTHING = (
    CREATED,
    TRADE,
    SWAP,
    PRICE,
    PRICE_IN_DOLLARS,
    GRADUATED,
    LIQUIDITY,
    CAMPAIGN,
    WHALE,
    MOVED,
    PUBLISHED_PRICE,
    BOOK,
    PUBLISHED_TRADE,
    OWN_TRADE,
    ORDER,
    PORTFOLIO,
    ANNOUNCEMENT,
    OWN_KIND,
)
