"""Clients of every protocol subscribe to one token and receive the same trade, each in its own format."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack

from websockets.asyncio.client import ClientConnection, connect

from local.stack.local_stack import LocalStack
from tests.e2e.client import SECONDS
from tests.e2e.mining import Miner
from tests.e2e.scene import Token

SOCKET_IO = "?EIO=4&transport=websocket"


async def until(socket: ClientConnection, *marks: str) -> str:
    """Return the first frame that contains all these texts."""
    async with asyncio.timeout(SECONDS):
        while True:
            frame = await socket.recv()
            if isinstance(frame, str) and all(mark in frame for mark in marks):
                return frame


async def test_one_trade_reaches_the_clients_of_every_protocol(stack: LocalStack, miner: Miner) -> None:
    token = await asyncio.to_thread(Token.create, miner)
    address, market = token.listing.token, token.listing.market
    async with AsyncExitStack() as opened:

        async def client(query: str, confirmation: str, *messages: str) -> ClientConnection:
            socket = await opened.enter_async_context(
                connect(stack.outputs.websocket_url + query, open_timeout=SECONDS)
            )
            for message in messages:
                await socket.send(message)
                await until(socket, '40{"sid"' if message == "40" else confirmation)
            return socket

        ours, coremem, moonx, kaspump, adstack = await asyncio.gather(
            client("", "subscribed", json.dumps({"type": "subscribe", "topics": [f"trades:anvil:{address}"]})),
            client(
                "?dialect=coremem",
                "subscribed",
                json.dumps({"type": "subscribe", "channel": "trades", "params": {"tokens": [address]}}),
            ),
            client(
                "?dialect=moonx",
                '"subscribed"',
                json.dumps({"id": "1", "type": "subscribe", "timestamp": 1, "data": {"channel": "trades"}}),
            ),
            client(
                SOCKET_IO,
                "subscription:confirmed",
                "40",
                f'42["subscribe:token",{json.dumps({"tokenAddress": address, "network": "anvil"})}]',
            ),
            client(SOCKET_IO, '"subscribed"', "40", f'42["subscribe",{json.dumps({"contractId": market})}]'),
        )
        await asyncio.to_thread(token.buy, 0.5)
        event = json.loads(await until(ours, '"events"'))["events"][0]
        trade = json.loads(await until(coremem, '"data"'))["data"]["trades"][0]
        update = json.loads(await until(moonx, "trade_update", event["id"]))["data"]
        new = json.loads((await until(kaspump, "trade:new"))[2:])[1]
        contract_event = json.loads((await until(adstack, '["event"'))[2:])[1]
    assert {trade["txHash"], update["txHash"], new["txHash"], contract_event["txId"]} == {event["tx_hash"]}
    assert {trade["amountCore"], update["amountIn"], new["nativeAmount"]} == {"0.5"}
    assert {trade["amountToken"], update["amountOut"], new["tokenAmount"]} == {trade["amountToken"]}
    assert contract_event["data"]["native_amount"] == event["data"]["native_amount"] == "500000000000000000"
