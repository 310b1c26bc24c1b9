"""The hot client against a server that misbehaves as servers do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from chaincast.aws.call import ServiceClient
from chaincast.aws.gateway import Gateway
from chaincast.aws.http import HttpError, HttpPool
from tests.integration.scripted import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@asynccontextmanager
async def open_client(server: ScriptedServer) -> AsyncIterator[ServiceClient]:
    client = ServiceClient(f"{server.url}/prod", "us-east-1", "execute-api", connections=4)
    yield client
    client.close()


@asynccontextmanager
async def open_gateway(server: ScriptedServer) -> AsyncIterator[Gateway]:
    async with open_client(server) as client:
        yield Gateway(client)


async def test_posts_arrive_in_order_on_kept_connections(server: ScriptedServer) -> None:
    payloads = [f"message {i}".encode() for i in range(5)]
    ids = [f"L{i}/a+b=" for i in range(20)]
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([(payloads, ids)])
    assert outcomes.posted == 100
    assert dict(server.posts) == dict.fromkeys(ids, payloads)
    assert server.connections <= 4


async def test_a_connection_dropped_while_idle_is_replaced_unseen(server: ScriptedServer) -> None:
    async with open_gateway(server) as gateway:
        await gateway.deliver([([b"1"], ["a", "b", "c"])])
        server.drop_idle()
        outcomes = await gateway.deliver([([b"2"], ["a", "b", "c"])])
    assert (outcomes.posted, outcomes.repeated) == (3, 0)
    assert all(posts == [b"1", b"2"] for posts in server.posts.values())


async def test_a_post_that_broke_off_is_repeated_and_counted(server: ScriptedServer) -> None:
    server.script["a"].extend(["drop-after", 200])
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([([b"1"], ["a"])])
    assert (outcomes.posted, outcomes.repeated) == (1, 1)
    assert server.posts["a"] == [b"1", b"1"]


@pytest.mark.parametrize("fault", [429, 500, 503, "drop"])
async def test_what_passes_is_tried_again_in_order(server: ScriptedServer, fault: int | str) -> None:
    server.script["a"].extend([200, fault, fault])
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([([b"1", b"2", b"3"], ["a"])])
    assert outcomes.posted == 3
    assert server.posts["a"] == [b"1", b"2", b"3"]


async def test_who_is_gone_gets_nothing_more(server: ScriptedServer) -> None:
    server.script["a"].append(410)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([([b"1", b"2"], ["a", "b"])])
    assert outcomes.gone == ["a"]
    assert (server.posts["a"], server.posts["b"]) == ([], [b"1", b"2"])


@pytest.mark.parametrize("status", [400, 403, 413])
async def test_what_can_never_be_delivered_is_named_and_the_rest_is(server: ScriptedServer, status: int) -> None:
    server.script["a"].append(status)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([([b"1", b"2"], ["a"])])
    assert outcomes.refused == {"a": status}
    assert server.posts["a"] == [b"2"]


async def test_who_cannot_be_reached_is_reported_and_gets_nothing_out_of_order(server: ScriptedServer) -> None:
    server.script["a"].extend([500] * 4)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([([b"1", b"2"], ["a", "b"])])
    assert outcomes.failed == ["a"]
    assert (server.posts["a"], server.posts["b"]) == ([], [b"1", b"2"])


async def test_nobody_there_is_an_error_that_says_so() -> None:
    pool = HttpPool("http://127.0.0.1:1", 1)
    with pytest.raises(HttpError, match=r"cannot connect to 127\.0\.0\.1:1") as caught:
        await pool.request(b"")
    assert not caught.value.maybe_sent


@pytest.mark.parametrize("endpoint", ["", "ftp://x", "x.example", "https://"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="no endpoint"):
        HttpPool(endpoint, 1)


async def test_a_server_that_speaks_no_http_is_an_error() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"220 smtp.example ready\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(nonsense, "127.0.0.1", 0) as listening:
        pool = HttpPool(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", 1)
        with pytest.raises(HttpError, match="not HTTP"):
            await pool.request(b"GET / HTTP/1.1\r\n\r\n")
        pool.close()


async def test_new_credentials_are_taken_up(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_client(server) as client:
        before = client._signer
        client.refresh_credentials()
        assert client._signer is before
        monkeypatch.setitem(os.environ, "AWS_ACCESS_KEY_ID", "AKIDNEW")
        client.refresh_credentials()
        assert client._signer.credentials.access_key == "AKIDNEW"
