"""Tests of what the load generator counts, with a server whose faults are known."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from local.commands.fleet import Fleet
from local.commands.load import summarize
from local.stack.checkout import free_port

TOPIC = "price:X"


def event(number: int) -> dict[str, Any]:
    return {"id": f"app-0:{number}", "kind": "price", "timestamp": time.time() * 1000, "topics": [TOPIC], "data": {}}


class Server:
    """Confirms every subscription, and sends the events that a test chooses."""

    def __init__(self) -> None:
        self.clients: list[ServerConnection] = []
        self.refuses = False

    async def serve(self, socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "connected"}))
        message = json.loads(await socket.recv())
        if self.refuses:
            await socket.send(json.dumps({"type": "error", "code": "MAX_SUBSCRIPTIONS", "message": ""}))
        else:
            await socket.send(json.dumps({"type": "subscribed", "id": 1, "topics": message["topics"]}))
            self.clients.append(socket)
        await socket.wait_closed()

    async def send(self, client: ServerConnection, *numbers: int) -> None:
        await client.send(json.dumps({"type": "events", "events": [event(number) for number in numbers]}))


@asynccontextmanager
async def running(clients: int, *topics: str) -> AsyncIterator[tuple[Server, Fleet]]:
    server, port = Server(), free_port()
    async with serve(server.serve, "127.0.0.1", port):
        listened = topics or (TOPIC,)
        fleet = Fleet(f"ws://127.0.0.1:{port}", lambda number: (listened[number % len(listened)],))
        await fleet.grow(clients, 1000)
        try:
            yield server, fleet
        finally:
            await fleet.close()


async def test_events_that_all_clients_receive_are_all_delivered() -> None:
    async with running(3) as (server, fleet):
        for client in server.clients:
            await server.send(client, 1, 2)
        await fleet.wait_complete(5)
        row = summarize(fleet.tally, 2.0)
    assert (row["connected"], row["events"], row["expected"], row["delivered"]) == (3, 2, 6, 6)
    assert (row["delivered_share"], row["deliveries_per_s"], row["duplicates"]) == (1.0, 3.0, 0)
    assert (row["sent"], row["messages"]) == (3, 9), "greeting, confirmation and events of each client"
    assert 0 <= row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]


async def test_events_are_expected_for_subscribers_of_wildcards() -> None:
    async with running(6, TOPIC, "price:*", "price:Y") as (server, fleet):
        for client in server.clients[:4]:
            await server.send(client, 1)
        await fleet.wait_complete(0.2)
        assert (fleet.tally.expected, fleet.tally.delivered) == (4, 4)


async def test_events_that_arrive_while_clients_connect_are_ignored() -> None:
    async with running(2) as (server, fleet):
        ignoring = asyncio.create_task(fleet.ignore_new_events(0.2))
        await asyncio.sleep(0)
        await server.send(server.clients[0], 1)
        await ignoring
        await server.send(server.clients[1], 1, 2)
        await fleet.wait_complete(0.2)
        assert (fleet.tally.events, fleet.tally.expected, fleet.tally.delivered) == (1, 2, 1)


async def test_missing_deliveries_are_counted() -> None:
    async with running(4) as (server, fleet):
        await server.send(server.clients[0], 1)
        await fleet.wait_complete(0.2)
        assert fleet.tally.share == 0.25


async def test_published_events_count_as_lost_only_if_no_client_received_them() -> None:
    async with running(2) as (server, fleet):
        for client in server.clients:
            await server.send(client, 1)
        await fleet.wait_complete(5)
        fleet.expect(TOPIC)
        fleet.count_undelivered()
        assert fleet.tally.share == 1.0
        fleet.expect(TOPIC)
        await fleet.wait_complete(0.1)
        fleet.count_undelivered()
        assert (fleet.tally.expected, fleet.tally.delivered, fleet.tally.events) == (4, 2, 2)


async def test_duplicates_are_counted_separately() -> None:
    async with running(1) as (server, fleet):
        await server.send(server.clients[0], 1, 1, 2)
        await server.send(server.clients[0], 2, 3)
        await fleet.wait_complete(5)
        while fleet.tally.messages < 4:
            await fleet.wait_complete(0.05)
        assert (fleet.tally.delivered, fleet.tally.duplicates) == (3, 2)


async def test_refusals_are_counted_by_reason_and_losses_too() -> None:
    async with running(2) as (server, fleet):
        server.refuses = True
        await fleet.grow(3, 1000)
        assert (fleet.tally.connected, dict(fleet.tally.refused)) == (2, {"MAX_SUBSCRIPTIONS": 1})
        await server.clients[0].close()
        await server.clients[0].wait_closed()
        await server.send(server.clients[1], 1)
        await fleet.wait_complete(5)
        assert (fleet.tally.lost, fleet.tally.expected) == (1, 1)


async def test_without_a_server_all_clients_are_refused() -> None:
    fleet = Fleet(f"ws://127.0.0.1:{free_port()}", lambda number: (TOPIC,))
    await fleet.grow(2, 1000)
    assert fleet.tally.connected == 0
    assert fleet.tally.refused.total() == 2
