"""What a load generator counts, against a server whose faults are known."""

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
    """Confirms every subscription; tells what it is told to tell."""

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

    async def tell(self, client: ServerConnection, *numbers: int) -> None:
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


async def test_what_everybody_has_is_all_of_it() -> None:
    async with running(3) as (server, fleet):
        for client in server.clients:
            await server.tell(client, 1, 2)
        await fleet.wait_complete(5)
        found = summarize(fleet.tally, 2.0)
    assert (found["connected"], found["events"], found["expected"], found["delivered"]) == (3, 2, 6, 6)
    assert (found["delivered_share"], found["deliveries_per_s"], found["duplicates"]) == (1.0, 3.0, 0)
    assert (found["sent"], found["messages"]) == (3, 9), "greeting, confirmation and events of each"
    assert 0 <= found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]


async def test_who_listens_to_a_pattern_is_owed_what_it_covers() -> None:
    async with running(6, TOPIC, "price:*", "price:Y") as (server, fleet):
        for client in server.clients[:4]:
            await server.tell(client, 1)
        await fleet.wait_complete(0.2)
        assert (fleet.tally.expected, fleet.tally.delivered) == (4, 4)


async def test_what_is_first_heard_of_while_clients_come_is_not_judged() -> None:
    async with running(2) as (server, fleet):
        ignoring = asyncio.create_task(fleet.ignore_new_events(0.2))
        await asyncio.sleep(0)
        await server.tell(server.clients[0], 1)
        await ignoring
        await server.tell(server.clients[1], 1, 2)
        await fleet.wait_complete(0.2)
        assert (fleet.tally.events, fleet.tally.expected, fleet.tally.delivered) == (1, 2, 1)


async def test_who_is_forgotten_is_missed() -> None:
    async with running(4) as (server, fleet):
        await server.tell(server.clients[0], 1)
        await fleet.wait_complete(0.2)
        assert fleet.tally.share == 0.25


async def test_what_nobody_heard_of_is_missed_and_what_came_before_it_was_expected_is_not() -> None:
    async with running(2) as (server, fleet):
        for client in server.clients:
            await server.tell(client, 1)
        await fleet.wait_complete(5)
        fleet.expect(TOPIC)
        fleet.count_undelivered()
        assert fleet.tally.share == 1.0
        fleet.expect(TOPIC)
        await fleet.wait_complete(0.1)
        fleet.count_undelivered()
        assert (fleet.tally.expected, fleet.tally.delivered, fleet.tally.events) == (4, 2, 2)


async def test_repeats_are_counted_apart() -> None:
    async with running(1) as (server, fleet):
        await server.tell(server.clients[0], 1, 1, 2)
        await server.tell(server.clients[0], 2, 3)
        await fleet.wait_complete(5)
        while fleet.tally.messages < 4:
            await fleet.wait_complete(0.05)
        assert (fleet.tally.delivered, fleet.tally.duplicates) == (3, 2)


async def test_refusals_and_losses_are_counted_by_what_was_said() -> None:
    async with running(2) as (server, fleet):
        server.refuses = True
        await fleet.grow(3, 1000)
        assert (fleet.tally.connected, dict(fleet.tally.refused)) == (2, {"MAX_SUBSCRIPTIONS": 1})
        await server.clients[0].close()
        await server.clients[0].wait_closed()
        await server.tell(server.clients[1], 1)
        await fleet.wait_complete(5)
        assert (fleet.tally.lost, fleet.tally.expected) == (1, 1)


async def test_where_nobody_listens_everybody_is_refused() -> None:
    fleet = Fleet(f"ws://127.0.0.1:{free_port()}", lambda number: (TOPIC,))
    await fleet.grow(2, 1000)
    assert fleet.tally.connected == 0
    assert fleet.tally.refused.total() == 2
