"""The hot client against a server that misbehaves as servers do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from benchmarks.certificate import make_certificate
from chaincast.aws import environment
from chaincast.aws.fast import tls as transport
from chaincast.aws.fast.connection import HttpError
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.post_outcomes import MAX_ATTEMPTS
from chaincast.aws.fast.poster import ConnectionPoster, PostBatch
from chaincast.aws.fast.service_client import Payload, ServiceClient
from chaincast.metrics.async_counter_writer import AsyncCounterWriter
from chaincast.metrics.counter_store import addition
from chaincast.metrics.counter_writers import NotWritten
from tests.integration.scripted import ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@asynccontextmanager
async def open_client(server: ScriptedServer, patience: float = 5.0) -> AsyncIterator[ServiceClient]:
    client = ServiceClient(Pool(f"{server.url}/prod", 4, patience), "us-east-1", "execute-api")
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def open_gateway(server: ScriptedServer, patience: float = 5.0) -> AsyncIterator[ConnectionPoster]:
    async with open_client(server, patience) as client:
        yield ConnectionPoster(client)


def offer(posting: PostBatch, connections: list[str], *bodies: bytes) -> None:
    payloads = [Payload(body) for body in bodies]
    for connection in connections:
        posting.submit(connection, payloads)


async def test_posts_arrive_in_order_on_kept_connections(server: ScriptedServer) -> None:
    payloads = [f"message {i}".encode() for i in range(5)]
    ids = [f"L{i}/a+b=" for i in range(20)]
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver(payloads, ids)
    assert outcomes.posted == 100
    assert dict(server.posts) == dict.fromkeys(ids, payloads)
    assert server.connections <= 4


async def test_a_connection_dropped_while_idle_is_replaced_and_nothing_repeated(server: ScriptedServer) -> None:
    async with open_gateway(server) as gateway:
        await gateway.deliver([b"1"], ["a", "b", "c"])
        server.drop_idle()
        outcomes = await gateway.deliver([b"2"], ["a", "b", "c"])
    assert (outcomes.posted, outcomes.repeated, outcomes.retried) == (3, 0, 0)
    assert all(posts == [b"1", b"2"] for posts in server.posts.values())


@pytest.mark.parametrize("fault", ["drop-after", "half-close", "stall"])
async def test_a_post_that_broke_off_is_repeated_and_counted(server: ScriptedServer, fault: str) -> None:
    server.script["a"].extend([fault, 200])
    async with open_gateway(server, patience=0.5) as gateway:
        outcomes = await gateway.deliver([b"1"], ["a"])
    assert (outcomes.posted, outcomes.repeated) == (1, 1)
    assert server.posts["a"] == [b"1", b"1"]


@pytest.mark.parametrize("fault", [408, 429, 500, 503, "drop"])
async def test_what_passes_is_tried_again_in_order(server: ScriptedServer, fault: int | str) -> None:
    server.script["a"].extend([200, fault, fault])
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([b"1", b"2", b"3"], ["a"])
    assert (outcomes.posted, outcomes.retried) == (3, 2)
    assert server.posts["a"] == [b"1", b"2", b"3"]


async def test_when_many_connections_are_refused_all_posts_slow_down(server: ScriptedServer) -> None:
    names = [f"c{i}" for i in range(60)]
    for name in names:
        server.script[name].extend([429] * 4)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([b"1"], names)
        assert gateway.pace.limited
        assert gateway.pace.rate < 1000
        assert (outcomes.posted, outcomes.throttled, outcomes.stalled) == (60, 240, {})


async def test_nobody_waits_for_a_client_that_does_not_read(server: ScriptedServer) -> None:
    server.script["a"].extend([429] * 1_000)
    server.script["b"].extend([429, 200, 200])
    names = ["a", "b", *(f"c{i}" for i in range(50))]
    async with open_gateway(server) as gateway:
        posting = gateway.begin(60)
        offer(posting, names, b"1", b"2")
        outcomes = await posting.drain()
        assert not gateway.pace.limited
    assert [*outcomes.stalled] == ["a"]
    assert [payload.tail[-1:] for payload in outcomes.stalled["a"]] == [b"1", b"2"]
    assert (outcomes.posted, outcomes.deferred) == (102, [])
    assert outcomes.throttled <= 5
    assert all(server.posts[name] == [b"1", b"2"] for name in names[1:])


async def test_more_clients_that_do_not_read_than_posts_in_progress_block_nobody(server: ScriptedServer) -> None:
    names = [f"c{i:04d}" for i in range(1_200)]
    for name in names[:700]:
        server.script[name].extend([429] * 1_000)
    async with open_gateway(server) as gateway:
        posting = gateway.begin(60)
        offer(posting, names[:512], b"1")
        await posting.wait_for_capacity()
        offer(posting, names[512:768], b"1")
        await posting.wait_for_capacity()
        offer(posting, names[768:], b"1")
        outcomes = await posting.drain()
    assert sorted(outcomes.stalled) == names[:700]
    assert (outcomes.posted, outcomes.deferred) == (500, [])


async def test_a_single_message_waits_about_two_seconds_for_a_client_that_does_not_read(server: ScriptedServer) -> None:
    server.script["a"].extend([429] * 1_000)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([b"1"], ["a"])
    assert [*outcomes.stalled] == ["a"]
    assert 5 <= outcomes.throttled <= 9, "the delays grow up to a second"


async def test_who_is_gone_gets_nothing_more(server: ScriptedServer) -> None:
    server.script["a"].append(410)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([b"1", b"2"], ["a", "b"])
    assert outcomes.gone == ["a"]
    assert (server.posts["a"], server.posts["b"]) == ([], [b"1", b"2"])


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_what_may_be_permitted_later_is_tried_again_and_never_counted_as_delivered(
    server: ScriptedServer, status: int
) -> None:
    server.script["a"].extend([status, 200, status])
    server.script["b"].extend([status] * MAX_ATTEMPTS)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([b"1", b"2"], ["a", "b"])
    assert (outcomes.posted, outcomes.deferred, outcomes.refused.total()) == (2, ["b"], 0)
    assert outcomes.forbidden == (0 if status == 404 else MAX_ATTEMPTS + 2)
    assert (server.posts["a"], server.posts["b"]) == ([b"1", b"2"], [])


@pytest.mark.parametrize("status", [400, 413])
async def test_what_can_never_be_delivered_is_counted_by_cause_and_the_rest_is(
    server: ScriptedServer, status: int
) -> None:
    server.script["a"].append(status)
    server.script["b"].append(status)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([b"1", b"2"], ["a", "b"])
    assert [(cause.split()[0], count) for cause, count in outcomes.refused.items()] == [(str(status), 2)]
    assert server.posts["a"] == server.posts["b"] == [b"2"]


async def test_who_cannot_be_reached_is_left_and_gets_nothing_out_of_order(server: ScriptedServer) -> None:
    server.script["a"].extend([500] * MAX_ATTEMPTS)
    async with open_gateway(server) as gateway:
        outcomes = await gateway.deliver([b"1", b"2"], ["a", "b"])
    assert outcomes.deferred == ["a"]
    assert (server.posts["a"], server.posts["b"]) == ([], [b"1", b"2"])


async def test_when_time_is_up_nothing_is_begun_and_what_is_begun_is_ended(server: ScriptedServer) -> None:
    server.script["a"].extend([200, 500])
    async with open_gateway(server) as gateway:
        posting = gateway.begin(30)
        offer(posting, ["a"], b"1", b"2")
        await asyncio.to_thread(server.posted.wait, 60)
        posting.stop()
        offer(posting, ["b"], b"1")
        outcomes = await posting.drain()
    assert (outcomes.posted, outcomes.deferred) == (2, ["b"])
    assert (server.posts["a"], server.posts["b"]) == ([b"1", b"2"], [])


async def test_what_waits_when_time_is_up_is_left(server: ScriptedServer) -> None:
    async with open_gateway(server) as gateway:
        for connection in "abcd":
            server.script[connection].append("stall")
        posting = gateway.begin(0.2)
        offer(posting, [*"abcdefgh"], b"1")
        await posting.drain()
    assert sorted(posting.outcomes.deferred) == [*"abcdefgh"]
    assert posting.outcomes.posted == 0
    assert not any(server.posts[c] for c in "efgh")


async def test_when_nothing_gets_through_a_posting_ends_early(server: ScriptedServer) -> None:
    async with open_gateway(server) as gateway:
        server.__exit__(None, None, None)
        posting = gateway.begin(60)
        offer(posting, [f"c{i}" for i in range(500)], b"1")
        outcomes = await posting.drain()
        assert posting.stopped
    assert len(outcomes.deferred) == 500


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
        async with open_gateway(tls, patience=0.7) as gateway:
            outcomes = await gateway.deliver(bodies, ids)
            assert (outcomes.posted, outcomes.deferred) == (96, [])
            assert 12 <= outcomes.repeated <= 16  # a drop before the body was read may have come after it was sent
            tls.drop_idle()
            again = await gateway.deliver([b"last"], ids)
            assert (again.posted, again.deferred) == (24, [])

    run.run(deliver())
    for i, connection in enumerate(ids):
        expected = [*bodies, b"last"]
        if faults[i % 6] in ("drop-after", "half-close", "stall"):
            expected.insert(i % 4, bodies[i % 4])
        assert tls.posts[connection] == expected


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
