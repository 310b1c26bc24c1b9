"""Edge cases of the protocol that a browser meets, on the deployed stack."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from local.stack.local_stack import LocalStack
from tests.e2e.client import SECONDS, Client
from tests.e2e.mining import Miner


async def test_a_client_is_greeted_and_receives_a_pong(stack: LocalStack) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        greeting = await client.message("connected")
        assert greeting["dialect"] == "chaincast.v1"
        assert greeting["networks"] == ["anvil"]
        await client.send({"type": "ping", "id": 1})
        assert (await client.message("pong", id=1))["timestamp"] > 1_700_000_000_000


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("no json", "BAD_JSON"),
        ("[" * 5000 + "]" * 5000, "TOO_DEEP"),
        ('{"type":"subscribe","topics":' + "[" * 900 + "]" * 900 + "}", "TOO_DEEP"),
        ("{" * 20, "BAD_JSON"),
        ('"text"', "BAD_MESSAGE"),
        ({"type": "nonsense"}, "UNKNOWN_TYPE"),
        ({"type": "$connect"}, "UNKNOWN_TYPE"),
        ({"type": "$disconnect"}, "UNKNOWN_TYPE"),
        ({"type": "$default"}, "UNKNOWN_TYPE"),
        ({"type": None}, "BAD_MESSAGE"),
        ({"type": {"a": 1}}, "BAD_MESSAGE"),
        ({"type": "subscribe"}, "BAD_MESSAGE"),
        ({"type": "subscribe", "topics": ["nope:x"]}, "UNKNOWN_TOPIC"),
        ({"type": "subscribe", "topics": ["tokens:other"]}, "UNKNOWN_NETWORK"),
        ({"type": "subscribe", "topics": ["user:ann"]}, "PRIVATE_TOPIC"),
        ({"type": "subscribe", "topics": [f"price:S{i}" for i in range(51)]}, "TOO_MANY_TOPICS"),
        (b"\xff\xfe{}", "BAD_JSON"),
    ],
)
async def test_an_invalid_message_is_refused_and_the_connection_stays_open(
    stack: LocalStack, message: object, code: str
) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.send(message)
        assert (await client.message("error"))["code"] == code
        await client.send({"type": "ping", "id": "still here"})
        await client.message("pong", id="still here")


async def test_too_long_a_message_is_refused_as_api_gateway_does(stack: LocalStack) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.send("x" * 32_769)  # API Gateway takes frames of at most 32 KB
        with pytest.raises(ConnectionClosed) as caught:
            await client.socket.recv() if client.socket.close_code else await asyncio.wait_for(_closed(client), 120)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


async def _closed(client: Client) -> None:
    await client.socket.wait_closed()
    raise client.socket.protocol.close_exc


async def test_a_subscription_beyond_the_limit_is_refused_as_a_whole(stack: LocalStack) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.send({"type": "subscribe", "id": 1, "topics": [f"price:A{i}" for i in range(30)]})
        await client.message("subscribed", id=1)
        await client.send({"type": "subscribe", "id": 2, "topics": [f"price:B{i}" for i in range(30)]})
        assert (await client.message("error", id=2))["code"] == "MAX_SUBSCRIPTIONS"
        await client.send({"type": "unsubscribe", "id": 3, "topics": [f"price:A{i}" for i in range(30)]})
        await client.message("unsubscribed", id=3)
        await client.send({"type": "subscribe", "id": 4, "topics": [f"price:B{i}" for i in range(30)]})
        await client.message("subscribed", id=4)


async def test_no_event_arrives_after_unsubscribing(stack: LocalStack, miner: Miner) -> None:
    async with Client(stack.outputs.websocket_url) as left, Client(stack.outputs.websocket_url) as stayed:
        for client in (left, stayed):
            await client.message("connected")
            await client.subscribe("network:anvil")
        await left.send({"type": "unsubscribe", "id": "u", "topics": ["network:anvil"]})
        await left.message("unsubscribed", id="u")
        number = await asyncio.to_thread(miner.block, 3)
        await stayed.until_event(miner.expected(number, number)[-1].id)
        await left.send({"type": "ping", "id": "after"})
        await left.message("pong", id="after")
        # Events of earlier blocks may have arrived while the client was subscribed.
        assert [event for event in left.events if event["block"] >= number] == []


async def test_the_dialect_is_confirmed_as_a_subprotocol(stack: LocalStack) -> None:
    async with connect(
        stack.outputs.websocket_url, open_timeout=SECONDS, subprotocols=[Subprotocol("chaincast.v1")]
    ) as socket:
        assert socket.subprotocol == "chaincast.v1"
        assert json.loads(await socket.recv())["type"] == "connected"


async def test_the_handshake_of_an_unknown_dialect_is_refused(stack: LocalStack) -> None:
    with pytest.raises(InvalidHandshake):
        async with connect(stack.outputs.websocket_url + "?dialect=nope", open_timeout=SECONDS):
            pass


async def test_history_returns_the_events_as_they_were_delivered(stack: LocalStack, miner: Miner) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")
        await client.subscribe("network:anvil")
        first, last = await asyncio.to_thread(miner.blocks, 5, 4)
        await client.until_event(miner.expected(first, last)[-1].id)
        told = [event for event in client.events if event["kind"] == "trade"]
        token = told[-1]["token"]
        mine = [event for event in reversed(told) if event["token"] == token]
        limit = min(len(mine), 5)
        await client.send(
            {"type": "get", "id": "g", "what": "trades", "network": "anvil", "token": token, "limit": limit}
        )
        assert (await client.message("history", id="g"))["events"] == mine[:limit]
        await client.send({"type": "get", "id": "t", "what": "tokens", "network": "anvil", "limit": 3})
        tokens = (await client.message("history", id="t"))["events"]
        assert [event["kind"] for event in tokens] == ["token.created"] * 3
        assert [event["block"] for event in tokens] == sorted((event["block"] for event in tokens), reverse=True)
