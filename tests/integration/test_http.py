"""The asynchronous client against a server that misbehaves as servers do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
import uvloop

from benchmarks.certificate import make_certificate
from chaincast.aws import environment
from chaincast.aws.fast import tls as transport
from chaincast.aws.fast.connection import HttpError
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.service_client import Payload, ServiceClient
from chaincast.metrics.async_counter_writer import AsyncCounterWriter
from chaincast.metrics.counter_store import addition
from chaincast.metrics.counter_writers import NotWritten
from tests.integration.posting import open_client, open_gateway
from tests.integration.scripted import ScriptedServer


async def test_after_its_close_a_pool_opens_and_sends_nothing_and_says_so(server: ScriptedServer) -> None:
    server.script["a"].extend([200, "stall", "stall"])
    client = ServiceClient(Pool(server.url, 2), "us-east-1", "execute-api")
    calls = [asyncio.ensure_future(client.post("/@connections/a", b"1")) for _ in range(20)]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await client.close()
    opened = server.connections
    calls.append(asyncio.ensure_future(client.post("/@connections/a", b"2")))
    ends = await asyncio.gather(*calls, return_exceptions=True)
    broken = [end for end in ends if isinstance(end, HttpError) and "closed" in str(end)]
    assert len(broken) == 20
    assert not broken[-1].sent
    assert server.connections == opened
    assert b"2" not in server.posts["a"]


async def test_nobody_there_is_an_error_that_says_so() -> None:
    client = ServiceClient(Pool("http://127.0.0.1:1", 1), "us-east-1", "dynamodb")
    with pytest.raises(HttpError, match=r"cannot connect to 127\.0\.0\.1:1") as caught:
        await client.post("/", b"")
    assert not caught.value.sent


@pytest.mark.parametrize("endpoint", ["", "ftp://x", "x.example", "https://"])
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        Pool(endpoint, 1)


@pytest.mark.parametrize(
    "answer",
    [b"220 smtp.example ready\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"],
    ids=["no HTTP", "cut off"],
)
async def test_a_server_that_speaks_nonsense_is_an_error(answer: bytes) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(nonsense, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        client = ServiceClient(Pool(url, 1), "us-east-1", "dynamodb")
        with pytest.raises(HttpError, match=r"not HTTP|closed by peer"):
            await client.post("/", b"")
        await client.close()


async def test_an_answer_to_nothing_ends_the_connection_and_harms_nobody() -> None:
    async def eager(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ok + b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(eager, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        client = ServiceClient(Pool(url, 1), "us-east-1", "dynamodb")
        for _ in range(3):
            assert (await client.post("/", b"")).status in (200, 408)
        await client.close()


async def test_new_credentials_are_taken_up(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_client(server) as client:
        payload = Payload(b"")
        before = b"Credential=%b/" % os.environ["AWS_ACCESS_KEY_ID"].encode()
        assert before in client.head("/p", payload)
        monkeypatch.setitem(os.environ, "AWS_ACCESS_KEY_ID", "AKIDNEW")
        assert before in client.head("/p", payload)
        client.refresh_credentials()
        assert b"Credential=AKIDNEW/" in client.head("/p", payload)


@pytest.fixture(params=["aiofastnet", "the loop's own"])
def tls(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """Return a server over TLS, and the client's transport of either kind."""
    make_certificate(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    if request.param != "aiofastnet":
        monkeypatch.setenv(transport.SWITCH, "loop")
    for cached in (transport.fast_opener, transport._context):
        cached.cache_clear()
    assert (transport.fast_opener() is not None) == (request.param == "aiofastnet")
    with ScriptedServer(tmp_path) as running:
        yield running
    for cached in (transport.fast_opener, transport._context):
        cached.cache_clear()


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


def test_over_tls_faults_of_all_kinds_cost_repeats_but_no_message(tls: ScriptedServer, run: asyncio.Runner) -> None:
    ids = [f"c{i}" for i in range(24)]
    bodies = [f"{i}".encode() + b"x" * size for i, size in enumerate((10, 32_768, 131_072, 1_000))]
    faults: list[int | str] = ["drop", "drop-after", "half-close", "stall", 500, 429]
    for i, connection in enumerate(ids):
        tls.script[connection].extend([200] * (i % 4) + [faults[i % 6]])

    async def deliver() -> None:
        async with open_gateway(tls, patience=2.0) as gateway:
            outcomes = await gateway.deliver(bodies, ids)
            assert (outcomes.posted, outcomes.deferred) == (96, [])
            assert outcomes.repeated >= 12
            tls.drop_idle()
            again = await gateway.deliver([b"last"], ids)
            assert (again.posted, again.deferred) == (24, [])
            repeated.append(outcomes.repeated + again.repeated)

    repeated: list[int] = []
    run.run(deliver())
    repeats = 0
    for i, connection in enumerate(ids):
        posts = tls.posts[connection]
        assert [post for post, _ in groupby(posts)] == [*bodies, b"last"]
        if faults[i % 6] in ("drop-after", "half-close", "stall"):
            assert posts.count(bodies[i % 4]) >= 2
        repeats += len(posts) - 5
    # A post that was dropped before its body was read counts as a repeat, too. On a busy machine more time out.
    assert 12 <= repeats <= repeated[0]


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tls: ScriptedServer, run: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE")
    transport._context.cache_clear()

    async def deliver() -> None:
        async with open_client(tls) as client:
            with pytest.raises(HttpError, match=r"cannot connect.*CERTIFICATE_VERIFY_FAILED"):
                await client.post("/", b"")

    run.run(deliver())


def test_big_answers_come_whole_over_tls(tls: ScriptedServer, run: asyncio.Runner) -> None:
    answer = b"".join(b"%06d" % i for i in range(170_000))  # a megabyte, as a page of Query may have
    tls.answers["big"] = answer

    async def ask() -> None:
        async with open_client(tls) as client:
            for _ in range(3):
                assert (await client.post("/big", b"x" * 300_000)).body == answer

    run.run(ask())


@pytest.mark.parametrize(
    ("answer", "error"), [(200, None), (400, NotWritten), (500, OSError), ("drop-after", HttpError)]
)
def test_counters_are_written_once_whatever_the_table_responds(
    server: ScriptedServer, answer: int | str, error: type[Exception] | None
) -> None:
    server.script["UpdateItem"].append(answer)
    update = addition(environment.STATE.lower(), "counts/0", "test", {"MessagesOut": 3}, since=1)
    loop = asyncio.new_event_loop()
    client = ServiceClient(Pool(server.url, 1), "us-east-1", "dynamodb")
    write = AsyncCounterWriter(loop, client).begin(update)
    try:
        if error is None:
            assert write.wait(60)
        else:
            with pytest.raises(error):
                write.wait(60)
    finally:
        loop.run_until_complete(client.close())
        loop.close()
    assert server.requests == 1
