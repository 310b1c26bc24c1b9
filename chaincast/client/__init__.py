"""Client of a Chaincast stack for bots and backends: asyncio, on `websockets` alone.

    async with connect("wss://…") as chaincast, chaincast.subscribe("trades:bsc:*") as trades:

        async for update in trades:

            print(update.event.kind, update.event.data)

It reconnects automatically, resumes without gaps and delivers every event once (docs/protocol.md, docs/connecting.md).
"""

from chaincast.client.connection import Chaincast, Page, Subscription, connect
from chaincast.client.inbox import Update
from chaincast.client.options import Options, State
from chaincast.client.socket import Refusal
from chaincast.model.events import Event

__all__ = ["Chaincast", "Event", "Options", "Page", "Refusal", "State", "Subscription", "Update", "connect"]
