"""Posts to connections whose gateway refuses, stalls or breaks off."""

from __future__ import annotations

import asyncio

import pytest

from chaincast.aws.fast.post_outcomes import MAX_ATTEMPTS
from tests.integration.posting import offer, open_gateway
from tests.integration.scripted import ScriptedServer


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
    async with open_gateway(server, patience=2.0) as gateway:
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
