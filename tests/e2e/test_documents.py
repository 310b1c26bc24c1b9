"""Tests with the clients of five other servers, written as their documents show, with the npm libraries in Node.js.

Only the URL is changed. Every message that a document lists must arrive with all fields of the same types.
"""

from __future__ import annotations

import asyncio

import pytest

from chaincast.publish import Item
from local.stack.local_stack import LocalStack
from tests.e2e.documents import documented, lacking, program
from tests.e2e.mining import Miner
from tests.e2e.node import NodeClient, Report
from tests.e2e.scene import Token, issue_token
from tests.e2e.test_publish import publisher

in_node_and_chromium = pytest.mark.parametrize("browser", [False, True], ids=["node", "chromium"])
RECORDING = 'import { io, WebSocket } from "./recording.mjs";\n'


def missing(data: Report, *names: str) -> list[str]:
    """Return the names of fields that are missing or null."""
    return [name for name in names if data.get(name) is None]


async def publish(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, *items: Item) -> None:
    with publisher(stack, monkeypatch) as backend:
        refused = await asyncio.to_thread(backend.publish, *items)
    assert list(refused) == []


@in_node_and_chromium
async def test_coremem(stack: LocalStack, miner: Miner, browser: bool) -> None:
    token = await asyncio.to_thread(Token.create, miner)
    client_program = RECORDING + program("coremem", **{"0xTOKEN": token.listing.token})
    url = stack.outputs.websocket_url + "?dialect=coremem"
    async with NodeClient(client_program, url, browser=browser) as client:
        connected = await client.message("connected")
        assert isinstance(connected["clientId"], str)
        assert (await client.message("subscribed", "prices"))["channel"] == "prices"
        await client.send(documented("coremem", "subscribe tokens"))
        recent = await client.message("data", "tokens")
        await client.send(documented("coremem", "subscribe alerts"))
        await client.send(documented("coremem", "subscribe trades"))
        for channel in ("alerts", "trades"):
            await client.message("subscribed", channel)
        await asyncio.to_thread(token.buy, 0.5)
        price = await client.message("data", "prices")
        await asyncio.to_thread(token.buy, 12)
        whale = await client.first(
            "whale alert",
            lambda r: any(a["type"] == "whale" for a in r.get("message", {}).get("data", {}).get("alerts", [])),
        )
        trade = await client.message("data", "trades")
        for message, channel in ((price, "prices"), (recent, "tokens"), (trade, "trades")):
            assert lacking(message, documented("coremem", f"data {channel}")) == []
        alert = next(a for a in whale["message"]["data"]["alerts"] if a["type"] == "whale")
        shown = documented("coremem", "data alerts")["data"]["alerts"][0]
        assert lacking(alert, shown) == []
        assert price["data"]["prices"][0]["tokenAddress"] == token.listing.token
        await client.logged("Price update:")

        await client.send(documented("coremem", "unsubscribe"))
        await client.message("unsubscribed", "prices")
        behind = len(client.reports)
        await client.send(documented("coremem", "ping"))
        assert lacking(await client.message("pong"), documented("coremem", "pong")) == []
        await asyncio.to_thread(token.buy, 0.5)
        await client.first("trade", lambda r: r["message"].get("channel") == "trades", behind=behind)
        assert not any(r.get("message", {}).get("channel") == "prices" for r in client.reports[behind:])
        await client.send({"type": "subscribe", "channel": "gossip"})
        error = await client.message("error")
        assert error["code"] == "UNKNOWN_TOPIC"
        assert "prices" in error["message"]


async def test_a_coremem_client_with_nothing_changed_but_the_host(stack: LocalStack, miner: Miner) -> None:
    """Its dialect is detected from its first message, without `?dialect=`."""
    token = await asyncio.to_thread(Token.create, miner)
    client_program = RECORDING + program("coremem", **{"0xTOKEN": token.listing.token})
    async with NodeClient(client_program, stack.outputs.websocket_url) as client:
        await client.message("subscribed", "prices")
        await asyncio.to_thread(token.buy, 0.5)
        price = await client.message("data", "prices")
        assert lacking(price, documented("coremem", "data prices")) == []


@in_node_and_chromium
async def test_moonx_service(stack: LocalStack, miner: Miner, monkeypatch: pytest.MonkeyPatch, browser: bool) -> None:
    token = await asyncio.to_thread(issue_token, stack, "user_123")
    client_program = RECORDING + program("moonx-service", JWT=token)
    url = stack.outputs.websocket_url + "?dialect=moonx"
    async with NodeClient(client_program, url, browser=browser) as client:
        for type_ in ("auth_required", "auth_success"):
            assert lacking(await client.message(type_), documented("moonx-service", type_)) == []
        subscribe = documented("moonx-service", "subscribe")
        for number, channel in enumerate(("prices", "orders", "portfolio", "trades")):
            await client.send({**subscribe, "id": f"msg_{number}", "data": {"channel": channel}})
            await client.said(f"sub_confirmed_msg_{number}")
        confirmed = await client.message("subscribed")
        assert lacking(confirmed, documented("moonx-service", "subscribed")) == []
        shown = {
            type_: documented("moonx-service", type_)["data"]
            for type_ in ("price_update", "order_update", "portfolio_update", "trade_update")
        }

        def own(kind: str, type_: str) -> Item:
            data = {name: value for name, value in shown[type_].items() if name != "userId"}
            return {"kind": kind, "userId": "user_123", "data": data}

        price = shown["price_update"]
        published = {
            "price": price["price"],
            "change": price["change24h"],
            "volume": price["volume24h"],
            "chainId": 8453,
        }
        await publish(
            stack,
            monkeypatch,
            {"kind": "price", "symbol": "ETH", "data": published},
            own("order", "order_update"),
            own("portfolio", "portfolio_update"),
            own("trade", "trade_update"),
        )
        for type_, data in shown.items():
            message = await client.message(type_)
            assert lacking(message, documented("moonx-service", type_)) == []
            assert {**message["data"], "timestamp": 0} == {**data, "timestamp": 0}
        listed = await asyncio.to_thread(Token.create, miner)
        await asyncio.to_thread(listed.buy, 0.5)
        report = await client.first(
            "price of a chain's token", lambda r: r.get("message", {}).get("data", {}).get("chainId") == 31_337
        )
        assert report["message"]["data"]["address"] == listed.listing.token
        await client.send(documented("moonx-service", "ping"))
        assert (await client.message("pong"))["id"] == "pong_msg_125"
        await client.send(documented("moonx-service", "unsubscribe"))
        await client.message("unsubscribed")


async def test_moonx_service_refuses_a_bad_token(stack: LocalStack) -> None:
    client_program = RECORDING + program("moonx-service", JWT="not-a-token")
    async with NodeClient(client_program, stack.outputs.websocket_url + "?dialect=moonx") as client:
        failed = await client.message("auth_failed")
        assert lacking(failed, documented("moonx-service", "auth_failed")) == []
        assert failed["data"]["error"].startswith("Invalid token")


@in_node_and_chromium
async def test_kaspump(stack: LocalStack, miner: Miner, browser: bool) -> None:
    token = await asyncio.to_thread(Token.create, miner)
    client_program = program("kaspump", **{"0xTOKEN": token.listing.token}, NETWORK="anvil")
    await asyncio.to_thread(token.buy, 0.25)
    async with NodeClient(client_program, stack.outputs.websocket_url, browser=browser) as client:
        confirmed = await client.event("subscription:confirmed")
        assert confirmed["room"] == f"token:anvil:{token.listing.token}"
        assert float((await client.logged("price"))[1]) > 0
        await client.send({"emit": ["subscribe:network", {"network": "anvil"}]})
        await client.event("subscription:confirmed", room="network:anvil")
        other = await asyncio.to_thread(Token.create, miner)
        created = await client.event("token:created", tokenAddress=other.listing.token)
        assert missing(created, "network", "tokenAddress", "name", "symbol", "creator") == []
        await asyncio.to_thread(token.buy, 0.5)
        trade = await client.event("trade:new", tokenAddress=token.listing.token)
        assert missing(trade, "network", "tokenAddress", "type", "price", "amount", "tokenAmount") == []
        await client.logged("New trade:")
        await asyncio.to_thread(token.graduate)
        graduated = await client.event("token:graduated")
        assert missing(graduated, "network", "tokenAddress", "finalSupply", "totalRaised") == []
        added = await client.event("liquidity:added")
        assert missing(added, "network", "tokenAddress", "dexPair", "liquidity") == []
        again = await client.ask("subscribe:token", {"tokenAddress": token.listing.token})
        assert again["success"]
        assert missing(again["data"], "room", "currentPrice", "latestTrade") == []
        trades = await client.ask("get:trades", {"tokenAddress": token.listing.token, "network": "anvil", "limit": 2})
        assert len(trades["data"]) == 2
        await client.send({"emit": ["subscribe:token", {}]})
        assert "tokenAddress" in (await client.event("subscription:error"))["error"]
        assert (await client.ask("ping", {}))["data"]["timestamp"] > 1_700_000_000_000
        for verb, argument in (
            ("unsubscribe:token", {"tokenAddress": token.listing.token}),
            ("unsubscribe:network", {"network": "anvil"}),
        ):
            assert (await client.ask(verb, argument))["success"]


@in_node_and_chromium
async def test_adstack(stack: LocalStack, miner: Miner, browser: bool) -> None:
    token = await asyncio.to_thread(Token.create, miner)
    contract = token.listing.market
    client_program = RECORDING + program("adstack", CONTRACT=contract)
    async with NodeClient(client_program, stack.outputs.websocket_url, browser=browser) as client:
        connected = await client.event("connected")
        assert missing(connected, "message", "socketId", "userId", "timestamp") == []
        assert (await client.event("subscribed"))["contractId"] == contract
        await asyncio.to_thread(token.buy, 0.5)
        event = await client.event("event")
        assert missing(event, "id", "type", "contractId", "txId", "blockHeight", "timestamp", "data") == []
        assert (event["type"], event["contractId"]) == ("trade", contract)
        await asyncio.to_thread(token.graduate)
        await client.event("event", type="token.graduated")
        types = {r["data"]["type"] for r in client.reports if r.get("event") == "event"}
        assert types == {"trade", "token.graduated"}, "liquidity.added was not asked for"
        for verb in ("getHistory", "getStats"):
            argument = {"contractId": contract, "limit": 50}
            assert (await client.ask(verb, argument))["data"]["contractId"] == contract
        for number in range(45):  # more than two hours allow, because an hour may end during the test
            await client.send({"emit": ["subscribe", {"contractId": f"S{number}.c"}]})
        error = await client.event("error")
        assert (error["code"], isinstance(error["message"], str)) == ("RATE_LIMITED", True)
        assert 0 < error["retryAfter"] <= 3600
        assert (await client.ask("unsubscribe", {"contractId": contract}))["success"]


@in_node_and_chromium
async def test_moonx_gateway(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, browser: bool) -> None:
    token = await asyncio.to_thread(issue_token, stack, "ann")
    client_program = RECORDING + program("moonx-gateway", JWT=token, USER="ann")
    async with NodeClient(client_program, stack.outputs.websocket_url, browser=browser) as client:
        connected = await client.event("connected")
        assert missing(connected, "connectionId", "timestamp") == []
        assert (await client.event("authenticated"))["user"]["id"] == "ann"
        for room in ("price:BTC-USDC", "orderbook:ETH-USDC", "user:ann"):
            await client.event("room_joined", room=room)
        await client.send({"emit": ["subscribe", {"types": ["price_updates", "trades"]}]})
        await client.event("subscribed")
        trade = {"price": 45000.0, "amount": 0.1, "side": "buy"}
        positions = [{"symbol": "BTC-USDC", "amount": 1.2, "value": 30000}]
        await publish(
            stack,
            monkeypatch,
            {"kind": "price", "symbol": "BTC-USDC", "data": {"price": 45000.5, "change": 2.5, "volume": 1234567.89}},
            {
                "kind": "order_book",
                "symbol": "ETH-USDC",
                "data": {"bids": [[2500.0, 1.5], [2499.5, 2.0]], "asks": [[2501.0, 1.2], [2501.5, 0.8]]},
            },
            {"kind": "trade", "symbol": "BTC-USDC", "userId": "ann", "data": trade},
            {
                "kind": "portfolio",
                "userId": "ann",
                "data": {"totalValue": 50000.0, "pnl": 1250.5, "positions": positions},
            },
            {"kind": "system.alert", "data": {"level": "info", "message": "New token PEPE now available for trading"}},
        )
        price = {"symbol": "", "price": 0, "change": 0, "volume": 0, "timestamp": 0}
        book = {"symbol": "", "bids": [[0, 0]], "asks": [[0, 0]], "timestamp": 0}
        assert lacking(await client.event("price_update"), price) == []
        assert lacking(await client.event("order_book_update"), book) == []
        notified = {"symbol": "", "price": 0, "amount": 0, "side": "", "timestamp": 0}
        public = await client.first(
            "trade of the market", lambda r: r.get("event") == "trade_notification" and "personal" not in r["data"]
        )
        assert lacking(public["data"], notified) == []
        own = await client.event("trade_notification", personal=True)
        assert lacking(own, {**notified, "personal": True}) == []
        worth = {"totalValue": 0, "pnl": 0, "positions": [{"symbol": "", "amount": 0, "value": 0}]}
        assert lacking(await client.event("portfolio_update"), worth) == []
        assert lacking(await client.event("system_alert"), {"level": "", "message": ""}) == []
        for line in ("Price update:", "Order book:", "Your trade executed:", "Portfolio update:"):
            await client.logged(line)
        assert (await client.ask("ping", {}))["data"]["timestamp"] > 1_700_000_000_000
        assert (await client.ask("leave_room", {"room": "price:BTC-USDC"}))["success"]
        await client.send({"emit": ["join_room", {"room": "user:somebody-else"}]})
        assert (await client.event("error"))["code"] == "PRIVATE_TOPIC"
