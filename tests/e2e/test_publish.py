from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request

import pytest

from chaincast.publish import Item, Publisher, PublishError
from local.stack.checkout import REGION
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.client import Client
from tests.e2e.test_crashes import database


def publisher(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, **credentials: str) -> Publisher:
    """One that signs with the administrator's credentials, or others."""
    signed = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION} | credentials
    for name, value in signed.items():
        monkeypatch.setenv(name, value)
    return Publisher(stack.outputs.http_url, region=REGION, timeout=120)


def price(symbol: str, value: float) -> Item:
    return {"kind": "price", "symbol": symbol, "data": {"price": value, "change": 2.5, "volume": 1234567.89}}


def belongs_to(stack: LocalStack, connection_id: str, user: str) -> None:
    """As if the connection had said whose it is."""
    connections = next(
        name for name in database(stack).list_tables()["TableNames"] if name.startswith("Chaincast-StorageConnections")
    )
    database(stack).update_item(
        TableName=connections,
        Key={"connection_id": {"S": connection_id}},
        UpdateExpression="SET #u = :u",
        ExpressionAttributeNames={"#u": "user"},
        ExpressionAttributeValues={":u": {"S": user}},
    )


async def test_what_is_published_reaches_who_listens(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Client(stack.outputs.websocket_url) as client, Client(stack.outputs.websocket_url) as other:
        await client.message("connected")
        await other.message("connected")
        await client.subscribe("price:BTC-USDC", "trade:*", "orderbook:ETH-USDC")
        with publisher(stack, monkeypatch) as backend:
            refused = await asyncio.to_thread(
                backend.publish,
                price("BTC-USDC", 45000.5),
                price("DOGE-USDC", 0.1),
                {"kind": "order_book", "symbol": "ETH-USDC", "data": {"bids": [[2500.0, 1.5]], "asks": []}},
                {"kind": "nonsense", "data": {}},
                {"kind": "trade", "symbol": "ETH-USDC", "data": {"price": 2500.0, "amount": 1.5, "side": "buy"}},
            )
        assert [(entry.item["kind"], entry.code) for entry in refused] == [("nonsense", "UNKNOWN_TYPE")]
        await client.until(lambda messages: sum(len(m.get("events", [])) for m in messages) == 3)
        assert [(e["kind"], e["data"]["symbol"]) for e in client.events] == [
            ("price", "BTC-USDC"),
            ("order_book", "ETH-USDC"),
            ("trade", "ETH-USDC"),
        ]
        assert client.events[0]["data"] == {"price": 45000.5, "change": 2.5, "volume": 1234567.89, "symbol": "BTC-USDC"}
        assert other.events == []


async def test_what_is_a_users_own_reaches_him_alone(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Client(stack.outputs.websocket_url) as mine, Client(stack.outputs.websocket_url) as other:
        await asyncio.to_thread(belongs_to, stack, (await mine.message("connected"))["connection_id"], "u1")
        await other.message("connected")
        await mine.send({"type": "subscribe", "id": "p", "topics": ["user:u1", "orders:u1", "portfolio:u1"]})
        await mine.message("subscribed", id="p")
        await other.send({"type": "subscribe", "id": "x", "topics": ["user:u1"]})
        assert (await other.message("error", id="x"))["code"] == "PRIVATE_TOPIC"
        await mine.send({"type": "subscribe", "id": "y", "topics": ["user:u2"]})
        assert (await mine.message("error", id="y"))["code"] == "PRIVATE_TOPIC"
        await other.subscribe("trade:*")
        trade = {"kind": "trade", "symbol": "ETH-USDC", "userId": "u1"}
        with publisher(stack, monkeypatch) as backend:
            await asyncio.to_thread(
                backend.publish,
                {**trade, "data": {"price": 2500.0, "amount": 1.5, "side": "buy"}},
                {"kind": "portfolio", "userId": "u1", "data": {"totalValue": 50000.0, "pnl": 1250.5}},
                {"kind": "portfolio", "userId": "u2", "data": {"totalValue": 1.0}},
            )
        await mine.until(lambda messages: sum(len(m.get("events", [])) for m in messages) == 2)
        await other.until(lambda messages: any(m["type"] == "events" for m in messages))
    assert [(e["kind"], e["data"].get("personal")) for e in mine.events] == [("trade", True), ("portfolio", None)]
    assert [(e["kind"], e["data"].get("personal")) for e in other.events] == [("trade", None)]


async def test_an_announcement_reaches_everybody(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Client(stack.outputs.websocket_url) as one, Client(stack.outputs.websocket_url) as other:
        await one.message("connected")
        await other.message("connected")
        await other.subscribe("system", "price:BTC-USDC")
        alert = {"kind": "system.alert", "data": {"level": "info", "message": "PEPE is now available for trading"}}
        with publisher(stack, monkeypatch) as backend:
            await asyncio.to_thread(backend.publish, alert)
        for client in (one, other):
            await client.until(lambda messages: any(m["type"] == "events" for m in messages))
            assert [e["data"]["message"] for e in client.events] == ["PEPE is now available for trading"]


async def test_who_missed_something_published_gets_it_when_resuming(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with publisher(stack, monkeypatch) as backend:
        async with Client(stack.outputs.websocket_url) as client:
            await client.message("connected")
            await client.subscribe("price:BTC-USDC")
            await asyncio.to_thread(backend.publish, price("BTC-USDC", 1.0))
            await client.until(lambda messages: any(m["type"] == "events" for m in messages))
            source, cursor = client.messages[-1]["source"], client.messages[-1]["cursor"]
        for value in (2.0, 3.0):
            await asyncio.to_thread(backend.publish, price("BTC-USDC", value))
        async with Client(stack.outputs.websocket_url) as client:
            await client.message("connected")
            await client.send({"type": "subscribe", "topics": ["price:BTC-USDC"], "since": {source: cursor}})
            await client.until(lambda messages: any(m["type"] == "events" for m in messages))
            assert client.events[-1]["data"]["price"] == 3.0


def test_who_may_not_publish_is_refused(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    request = urllib.request.Request(stack.outputs.http_url + "/publish", json.dumps([]).encode(), method="POST")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=120)
    with refused.value:
        assert refused.value.code == 403
    iam = session().client("iam", endpoint_url=endpoint(stack))
    iam.create_user(UserName="stranger")
    key = iam.create_access_key(UserName="stranger")["AccessKey"]
    with (
        publisher(
            stack, monkeypatch, AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"]
        ) as stranger,
        pytest.raises(PublishError) as error,
    ):
        stranger.publish(price("BTC-USDC", 1.0))
    assert error.value.status == 403
