"""Socket.IO on the deployed stack: the public test suites of the protocols, clients that reconnect, a Python client.

Sources: engine.io-protocol and socket.io-protocol, test-suite/test-suite.js. docs/dialects.md lists the features that
are not supported (HTTP long-polling, upgrades, binary, namespaces).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import socketio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection as Socket
from websockets.sync.client import connect as connect_now

from chaincast.aws.management_api import ManagementApi
from chaincast.sessions.connection_store import ConnectionStore
from local.stack.local_stack import LocalStack
from tests.e2e.client import SECONDS
from tests.e2e.mining import Miner
from tests.e2e.node import NodeClient
from tests.e2e.scene import Token, connections
from tests.e2e.test_heartbeat import LONG_AGO, aws, beat, resource_named

QUERY = "?EIO=4&transport=websocket"


async def receive(socket: ClientConnection) -> str:
    """Return the next frame that is not a no-operation."""
    frame = "6"
    async with asyncio.timeout(SECONDS):
        while frame == "6":
            received = await socket.recv()
            assert isinstance(received, str)
            frame = received
    return frame


async def closed(socket: ClientConnection) -> None:
    """Wait until the server has closed the connection."""
    async with asyncio.timeout(SECONDS):
        async for _ in socket:
            pass
        await socket.wait_closed()


@asynccontextmanager
async def opened(stack: LocalStack) -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    """Open a connection; yield it and its Engine.IO handshake."""
    async with connect(stack.outputs.websocket_url + QUERY, open_timeout=SECONDS) as socket:
        frame = await receive(socket)
        assert frame.startswith("0")
        yield socket, json.loads(frame[1:])


@asynccontextmanager
async def joined(stack: LocalStack) -> AsyncIterator[ClientConnection]:
    """Open a connection that has joined the main namespace."""
    async with opened(stack) as (socket, _):
        await socket.send("40")
        assert (await receive(socket)).startswith("40{")
        assert (await receive(socket)).startswith('42["connected"')
        yield socket


@pytest.fixture(scope="module", autouse=True)
def never_joined(stack: LocalStack) -> Iterator[Socket]:
    """Open a connection that never joins, before the first test; the last test checks that it is closed."""
    with connect_now(stack.outputs.websocket_url + QUERY, open_timeout=SECONDS) as socket:
        yield socket


# Engine.IO: handshake


async def test_a_session_is_opened(stack: LocalStack) -> None:
    async with opened(stack) as (_, handshake):
        assert set(handshake) == {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}
        assert isinstance(handshake["sid"], str)
        assert handshake["upgrades"] == []
        assert handshake["pingInterval"] + handshake["pingTimeout"] < 600_000, "API Gateway's idle time-out"


@pytest.mark.parametrize(
    "query",
    [
        "?transport=websocket",
        "?EIO=abc&transport=websocket",
        "?EIO=3&transport=websocket",
        "?EIO=4",
        "?EIO=4&transport=abc",
        "?EIO=4&transport=polling",
        QUERY + "&sid=unknown",
    ],
)
async def test_another_protocol_or_transport_is_refused(stack: LocalStack, query: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with connect(stack.outputs.websocket_url + query, open_timeout=SECONDS):
            pass
    assert caught.value.response.status_code in (400, 403)


# Engine.IO: heartbeat, close


async def test_idle_clients_are_pinged_and_silent_ones_are_removed(stack: LocalStack) -> None:
    database = aws(stack, "dynamodb")
    table = ConnectionStore(database, resource_named(database.list_tables()["TableNames"], "StorageConnections"))
    async with opened(stack) as (socket, alive), opened(stack) as (silent_socket, silent):
        for _ in range(3):
            await asyncio.to_thread(beat, stack)
            assert await receive(socket) == "2"
            await socket.send("3")
        table.mark_active(silent["sid"], LONG_AGO)
        counts = await asyncio.to_thread(beat, stack)
        assert counts["silent"] == 1
        await closed(silent_socket)
        assert table.get(silent["sid"]) is None
        assert table.get(alive["sid"]) is not None
        assert await receive(socket) == "2"


async def test_a_client_can_close_the_session(stack: LocalStack) -> None:
    async with opened(stack) as (socket, _):
        await socket.send("1")
        await closed(socket)


async def test_an_invalid_packet_closes_the_session(stack: LocalStack) -> None:
    async with opened(stack) as (socket, _):
        await socket.send("abc")
        await closed(socket)


async def test_a_probe_is_answered(stack: LocalStack) -> None:
    async with opened(stack) as (socket, _):
        await socket.send("2probe")
        assert await receive(socket) == "3probe"


# Socket.IO: connect, disconnect


@pytest.mark.parametrize("frame", ["40", '40{"x":"123"}'])
async def test_the_main_namespace_is_connected_to_with_and_without_a_payload(stack: LocalStack, frame: str) -> None:
    async with opened(stack) as (socket, handshake):
        await socket.send(frame)
        answer = await receive(socket)
        assert json.loads(answer.removeprefix("40")) == {"sid": handshake["sid"]}


async def test_an_unknown_namespace_is_refused(stack: LocalStack) -> None:
    async with opened(stack) as (socket, _):
        await socket.send("40/random")
        assert await receive(socket) == '44/random,{"message":"Invalid namespace"}'
        await socket.send("40")
        assert (await receive(socket)).startswith("40{")


async def test_an_invalid_handshake_closes_the_connection(stack: LocalStack) -> None:
    async with opened(stack) as (socket, _):
        await socket.send("4abc")
        await closed(socket)


async def test_leaving_the_namespace_keeps_the_connection(stack: LocalStack, miner: Miner) -> None:
    async with joined(stack) as socket, joined(stack) as other:
        for each in (socket, other):
            await each.send('42["subscribe:network",{"network":"anvil"}]')
            assert (await receive(each)).startswith('42["subscription:confirmed"')
        await socket.send("41")
        await socket.send("2x")
        assert await receive(socket) == "3x"
        await asyncio.to_thread(miner.block, 2)
        assert (await receive(other)).startswith('42["')
        await socket.send("40")
        assert (await receive(socket)).startswith("40{")
        assert (await receive(socket)).startswith('42["connected"')


# Socket.IO: messages


async def test_an_event_is_answered_by_an_event(stack: LocalStack) -> None:
    async with joined(stack) as socket:
        await socket.send('42["ping",1,"2",{"3":[true]}]')
        assert (await receive(socket)).startswith('42["pong",{"timestamp":')


async def test_an_event_with_an_acknowledgement_is_acknowledged(stack: LocalStack) -> None:
    async with joined(stack) as socket:
        await socket.send('42456["ping",1,"2",{"3":[false]}]')
        assert (await receive(socket)).startswith('43456[{"success":true,')


async def test_a_binary_event_is_refused_and_the_connection_stays_open(stack: LocalStack) -> None:
    async with joined(stack) as socket:
        await socket.send('452-789["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        assert json.loads((await receive(socket))[2:])[1]["code"] == "UNSUPPORTED"
        assert (await receive(socket)).startswith('43789[{"success":false,')
        await socket.send('42["ping"]')
        assert (await receive(socket)).startswith('42["pong"')


@pytest.mark.parametrize("frame", ["4abc", "42{}", '42abc["message-with-ack",1]', '42/admin,["a"]'])
async def test_an_invalid_format_closes_the_connection(stack: LocalStack, frame: str) -> None:
    async with joined(stack) as socket:
        await socket.send(frame)
        await closed(socket)


# Clients

RECONNECTING_CLIENT = """
import { io } from "./recording.mjs";
const socket = io("http://localhost:4000");
socket.on("connect", () => socket.emit("subscribe:network", { network: "anvil" }));
"""
"""Socket.IO's documentation recommends subscribing in the handler of `connect`, which runs after each reconnection."""


async def check_reconnected(client: NodeClient, miner: Miner, behind: int) -> None:
    """Check that the client has lost its connection, has opened another one, and receives new events."""
    await client.first("loss", lambda r: "disconnected" in r, behind=behind)
    await client.first("subscription", lambda r: r.get("event") == "subscription:confirmed", behind=behind)
    behind = len(client.reports)
    await asyncio.to_thread(miner.block, 2)
    await client.first("trade", lambda r: r.get("event") == "trade:new", behind=behind)


async def test_a_client_whose_connection_is_closed_reconnects(stack: LocalStack, miner: Miner) -> None:
    await asyncio.to_thread(Token.create, miner)
    async with NodeClient(RECONNECTING_CLIENT, stack.outputs.websocket_url) as client:
        sid = (await client.first("connection", lambda r: "connected" in r))["connected"]
        await client.event("subscription:confirmed")
        behind = len(client.reports)
        await asyncio.to_thread(ManagementApi(lambda: connections(stack)).close, sid)
        await check_reconnected(client, miner, behind)


class Proxy:
    """A TCP proxy in front of the gateway that can be stopped and restarted."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return self._target._replace(netloc=f"127.0.0.1:{self.port}").geturl()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def kill(self) -> None:
        """Stop listening and reset every connection."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._writers |= {writer, onward[1]}
        await asyncio.gather(self._pipe(reader, onward[1]), self._pipe(onward[0], writer))
        self._writers -= {writer, onward[1]}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2**16):
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()


async def test_a_client_whose_gateway_is_killed_reconnects(stack: LocalStack, miner: Miner) -> None:
    await asyncio.to_thread(Token.create, miner)
    proxy = Proxy(stack.outputs.websocket_url)
    await proxy.start()
    async with NodeClient(RECONNECTING_CLIENT, proxy.url) as client:
        await client.event("subscription:confirmed")
        behind = len(client.reports)
        await proxy.kill()
        await client.first("refusal", lambda r: "refused" in r, behind=behind)
        await proxy.start()
        await check_reconnected(client, miner, behind)
    await proxy.kill()


async def test_a_python_client(stack: LocalStack, miner: Miner) -> None:
    token = await asyncio.to_thread(Token.create, miner)
    url = urlsplit(stack.outputs.websocket_url)
    received: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
    client = socketio.AsyncClient()
    client.on("*", lambda name, data: received.put_nowait((name, data)))
    await client.connect(f"http://{url.netloc}", transports=["websocket"], socketio_path=url.path, wait_timeout=300)
    try:
        argument = {"tokenAddress": token.listing.token, "network": "anvil"}
        answer = await client.call("subscribe:token", argument, timeout=300)
        assert answer["success"]
        assert answer["data"]["room"] == f"token:anvil:{token.listing.token}"
        await asyncio.to_thread(token.buy, 0.5)
        async with asyncio.timeout(SECONDS):
            while (event := await received.get())[0] != "trade:new":
                pass
        assert event[1]["tokenAddress"] == token.listing.token
    finally:
        await client.disconnect()


def test_a_connection_that_does_not_join_is_closed(never_joined: Socket) -> None:
    """Check the suite's "should close the connection if no handshake is received".

    The server closes it after 45 s, most of which have passed during the other tests.
    """
    frames: list[object] = []
    while True:
        try:
            frames.append(never_joined.recv(SECONDS))
        except ConnectionClosed:
            break
    assert str(frames[0]).startswith("0")
    assert set(frames[1:]) <= {"2"}, "only pings follow the handshake"
