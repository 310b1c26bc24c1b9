"""The client against a small model of a stack: what it sends, what it delivers, and that it reconnects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import wraps
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Response

from chaincast.client import Chaincast, Options, Refusal, State, Subscription, connect, connection, options, session
from chaincast.errors import RequestError
from chaincast.model.cursors import format_cursor
from tests.unit.client.server import SECONDS, SILENCE, SOURCE, Message, Server


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make delays between attempts short."""
    monkeypatch.setattr(options, "FIRST_PAUSE", 0.002)
    monkeypatch.setattr(options, "MAX_PAUSE", 0.02)


def against_a_server(
    test: Callable[[Server], Coroutine[Any, Any, None]],
) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        async def with_server() -> None:
            async with asyncio.timeout(SECONDS), Server.start() as server:
                await test(server)

        asyncio.run(with_server())

    del run.__wrapped__  # without the annotation pytest looks for a fixture called server
    return run


async def read(updates: Subscription, count: int) -> list[str]:
    """Read updates, as `+id`, or `-id` for a retraction."""
    found: list[str] = []
    while len(found) < count:
        update = await anext(updates)
        found.append(("-" if update.retracted else "+") + update.event.id)
    return found


@against_a_server
async def test_each_subscription_is_told_what_reaches_it_once(server: Server) -> None:
    async with (
        connect(server.url) as client,
        client.subscribe("trades:BSC:0xAB") as trades,
        client.subscribe("network:bsc", "trades:bsc:*") as everything,
    ):
        first, second = await server.happen("trades:bsc:0xab", "tokens:bsc")
        assert await read(trades, 1) == [f"+{first.id}"]
        assert await read(everything, 2) == [f"+{first.id}", f"+{second.id}"]
        async with client.subscribe("trades:bsc:0xab") as more:
            (third,) = await server.happen("trades:bsc:0xab")
            assert await read(more, 1) == await read(trades, 1) == [f"+{third.id}"]
        assert not [said for said in server.said if said["type"] == "unsubscribe"]
    assert client.state is State.CLOSED


@against_a_server
async def test_it_stops_listening_when_the_last_has_left(server: Server) -> None:
    async with connect(server.url) as client:
        async with client.subscribe("tokens:bsc", "system"):
            pass
        await server.until(lambda: server.said[-1]["type"] == "unsubscribe")
    assert server.said[-1]["topics"] == ["system", "tokens:bsc"]


@against_a_server
async def test_what_is_wanted_at_once_is_one_message(server: Server) -> None:
    async with connect(server.url) as client:
        topics = [f"trades:bsc:0x{n}" for n in range(20)]
        subscriptions = [client.subscribe(topic) for topic in topics]
        await asyncio.gather(*(subscription.__aenter__() for subscription in subscriptions))
    assert [said["topics"] for said in server.subscribes] == [topics]


@against_a_server
async def test_a_topic_that_is_refused_says_so_and_harms_no_other(server: Server) -> None:
    refusal = {"type": "error", "code": "PREMIUM_TOPIC", "message": "needs the claim 'gold'"}
    server.instead = lambda said: refusal if "price:GOLD" in said.get("topics", []) else None
    async with connect(server.url) as client:
        golden, plain = client.subscribe("price:GOLD"), client.subscribe("tokens:bsc", "system")
        answers = await asyncio.gather(golden.__aenter__(), plain.__aenter__(), return_exceptions=True)
        assert isinstance(answers[0], Refusal)
        assert answers[0].code == "PREMIUM_TOPIC"
        await server.happen("tokens:bsc")
        assert await read(plain, 1) == ["+bsc:1:0"]
        with pytest.raises(RequestError, match="unknown topic family 'tradez'"):
            client.subscribe("tradez:bsc:*")


@against_a_server
async def test_a_topic_that_was_good_and_is_refused_later_is_told_and_left_out(server: Server) -> None:
    refusal = {"type": "error", "code": "PREMIUM_TOPIC", "message": "needs the claim 'gold'"}
    errors: list[Refusal] = []
    async with (
        connect(server.url, Options(on_error=errors.append)) as client,
        client.subscribe("price:GOLD", "tokens:bsc") as updates,
    ):
        server.instead = lambda said: refusal if "price:GOLD" in said.get("topics", []) else None
        server.cut()
        await server.until(lambda: len(errors) == 1)
        await server.listened("tokens:bsc")
        await server.happen("tokens:bsc")
        assert await read(updates, 1) == ["+bsc:1:0"]
    assert errors[0].code == "PREMIUM_TOPIC"


@against_a_server
async def test_a_topic_that_is_refused_when_nobody_wants_it_any_more_is_forgotten(server: Server) -> None:
    refusal = {"type": "error", "code": "PREMIUM_TOPIC", "message": "needs the claim 'gold'"}
    errors: list[Refusal] = []
    async with connect(server.url, Options(on_error=errors.append)) as client:
        left = asyncio.Event()

        def leave(said: Message) -> Message | None:
            if "price:GOLD" not in said.get("topics", []):
                return None
            client._session.remove_topic("price:GOLD")
            left.set()
            return refusal

        server.instead = leave
        client._session.add_topic("price:GOLD")
        await left.wait()
        assert await client.get_price("bsc", "0xab") is None  # after the refusal, on the same socket
        assert client._session._wanted == {}
    assert errors == []


@against_a_server
async def test_it_waits_as_long_as_the_server_says(server: Server) -> None:
    refusals = iter([{"type": "error", "code": "RATE_LIMITED", "message": "wait", "retry_after": 0.05}])
    server.instead = lambda said: next(refusals, None) if said["type"] == "subscribe" else None
    async with connect(server.url) as client, client.subscribe("tokens:bsc") as tokens:
        await server.happen("tokens:bsc")
        assert await read(tokens, 1) == ["+bsc:1:0"]
    assert len(server.requests) == 1


@against_a_server
async def test_it_has_what_came_while_it_was_away_even_if_nothing_had_come_before(server: Server) -> None:
    await server.happen("tokens:bsc")
    states: list[State] = []
    async with (
        connect(server.url, Options(on_state=states.append)) as client,
        client.subscribe("network:bsc") as updates,
    ):
        server.cut()
        await server.happen("tokens:bsc", "trades:bsc:0xab")
        assert await read(updates, 2) == ["+bsc:2:0", "+bsc:2:1"]
        await server.happen("tokens:bsc")
        assert await read(updates, 1) == ["+bsc:3:0"]
        assert [said.get("since") for said in server.subscribes] == [None, {SOURCE: format_cursor(1)}]
    await asyncio.sleep(0)
    assert states == ["open", "waiting", "connecting", "open", "closed"]


@against_a_server
async def test_several_messages_of_one_resumption_begin_where_all_do(server: Server) -> None:
    limit = {"type": "error", "code": "TOO_MANY_TOPICS", "message": "at most 1"}
    server.instead = lambda said: limit if len(said.get("topics", [])) > 1 else None
    async with connect(server.url) as client, client.subscribe("tokens:bsc", "system") as updates:
        server.cut()
        await server.happen("tokens:bsc")
        await server.happen("tokens:bsc")
        assert await read(updates, 2) == ["+bsc:1:0", "+bsc:2:0"]
        await server.until(lambda: len(server.subscribes) == 6)
    assert [said.get("since") for said in server.subscribes[3:]] == [{SOURCE: format_cursor(0)}] * 3


@against_a_server
async def test_it_says_if_it_was_away_for_too_long(server: Server) -> None:
    def expired(said: Message) -> Message | None:
        old = said.get("since") == {SOURCE: format_cursor(1)}
        words = {"type": "error", "code": "CURSOR_EXPIRED", "message": "too old"}
        return words | {"source": SOURCE, "oldest": format_cursor(2)} if old else None

    gaps: list[str] = []
    async with connect(server.url, Options(on_gap=gaps.append)) as client, client.subscribe("tokens:bsc") as updates:
        await server.happen("tokens:bsc")
        assert await read(updates, 1) == ["+bsc:1:0"]
        server.instead = expired
        server.cut()
        await server.happen("tokens:bsc")
        await server.happen("tokens:bsc")
        assert await read(updates, 1) == ["+bsc:3:0"]
        assert gaps == []  # offline for a moment, while the source was silent
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session, "SHORTEST_LOG_SECONDS", -1.0)
            server.instead = lambda said: (
                {"type": "error", "code": "BAD_CURSOR", "message": "ahead"} if "since" in said else None
            )
            server.cut()
            await server.until(lambda: gaps == [SOURCE])
        await server.listened("tokens:bsc")
        await server.happen("tokens:bsc")
        assert await read(updates, 1) == ["+bsc:4:0"]


@against_a_server
async def test_what_a_reorganisation_took_back_is_told_again_as_such(server: Server) -> None:
    async with connect(server.url) as client, client.subscribe("network:bsc") as updates:
        first, second = await server.happen("tokens:bsc", "tokens:bsc")
        assert await read(updates, 2) == [f"+{first.id}", f"+{second.id}"]
        server.cut()
        await server.retract(second.id, first.id)
        await server.tell([first])
        (third,) = await server.happen("tokens:bsc")
        # Retracted and sent again before it was read: it is held as before.
        assert set(await read(updates, 2)) == {f"-{second.id}", f"+{third.id}"}


@against_a_server
async def test_who_reads_slowly_holds_the_connection_up_and_misses_nothing(server: Server) -> None:
    states: list[State] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "MAX_PENDING_EVENTS", 10)
        async with (
            connect(server.url, Options(on_state=states.append)) as client,
            client.subscribe("tokens:bsc") as updates,
        ):
            for _ in range(30):
                await server.happen("tokens:bsc", "tokens:bsc")
            await server.until(lambda: State.BEHIND in states)
            assert await read(updates, 60) == [f"+bsc:{seq}:{n}" for seq in range(1, 31) for n in range(2)]


@against_a_server
async def test_another_connection_takes_its_place_before_it_is_too_old(server: Server) -> None:
    states: list[State] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "AGE_SECONDS", 0.0)
        patch.setattr(session, "AGE_SPREAD_SECONDS", 0.0)
        patch.setattr(session, "PING_SECONDS", 0.02)
        async with (
            connect(server.url, Options(on_state=states.append)) as client,
            client.subscribe("tokens:bsc") as updates,
        ):
            told = 0
            while len(server.requests) < 4:
                await server.happen("tokens:bsc")
                told += 1
                await asyncio.sleep(0)
            assert await read(updates, told) == [f"+bsc:{seq}:0" for seq in range(1, told + 1)]
            assert states == ["open"]


@against_a_server
async def test_it_pings_and_finds_out_that_nobody_is_there(server: Server) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "PING_SECONDS", 0.02)
        patch.setattr(session, "PONG_SECONDS", 0.05)
        server.instead = lambda said: SILENCE if said["type"] == "ping" and len(server.requests) == 1 else None
        async with connect(server.url):
            await server.until(lambda: len(server.requests) == 2)
            await server.until(lambda: sum(said["type"] == "ping" for said in server.said) > 2)
    assert len(server.requests) == 2


@against_a_server
async def test_it_asks_and_is_answered(server: Server) -> None:
    async with connect(server.url) as client:
        assert await client.get_price("bsc", "0xab") is None
        (event,) = await server.happen("trades:bsc:0xab")
        page = await client.get_trades("bsc", "0xab", limit=5)
        assert ([found.id for found in page.events], page.before) == ([event.id], None)
        server.instead = lambda said: {"message": "Internal server error", "connectionId": "c"}
        with pytest.raises(Refusal, match="GATEWAY: Internal server error"):
            await client.history("bsc", "0xab", events=["Transfer"])
    assert server.said[-1] == {
        "type": "get", "what": "history", "network": "bsc", "contract": "0xab", "events": ["Transfer"], "limit": 20,
        "id": 3,
    }  # fmt: skip
    with pytest.raises(Refusal, match="CLOSED"):
        await client.get_price("bsc", "0xab")


@against_a_server
async def test_it_cannot_begin_where_it_is_refused(server: Server) -> None:
    def refuse(connection: ServerConnection) -> Response:
        response = connection.respond(HTTPStatus.TOO_MANY_REQUESTS, "too many")
        response.headers["Retry-After"] = "7"
        return response

    server.refuse = refuse
    with pytest.raises(Refusal, match=r"HTTP_429.*too many") as raised:
        await client_of(server.url)
    assert raised.value.retry_after == 7
    with pytest.raises(Refusal, match="UNREACHABLE"):
        await client_of("ws://127.0.0.1:1/prod")


async def client_of(url: str) -> Chaincast:
    async with connect(url) as client:
        return client


@against_a_server
async def test_tokens_and_tickets_are_fresh_for_every_connection(server: Server) -> None:
    tickets = iter("ab")
    tokens = iter(["x", "y"])

    async def token() -> str:
        return next(tokens)

    async with connect(server.url, Options(ticket=lambda: next(tickets))) as client, client.subscribe("system"):
        await server.shout({"type": "auth_expired", "closes_in": 60})
        await server.until(lambda: len(server.requests) == 2)
    assert [request.path for request in server.requests] == ["/prod?ticket=a", "/prod?ticket=b"]
    async with connect(server.url, Options(token=token)) as client, client.subscribe("system"):
        assert server.requests[-1].headers["Sec-WebSocket-Protocol"] == "chaincast.v1, chaincast.token.x"
        await server.shout({"type": "auth_expired", "closes_in": 60})
        await server.until(lambda: server.said[-1]["type"] == "authenticate")
    assert server.said[-1]["token"] == "y"
    with pytest.raises(Refusal, match="NO_CREDENTIALS"):
        async with connect(server.url, Options(ticket=lambda: next(tickets))):
            pass


steps = st.lists(st.sampled_from(["happen", "retract", "cut", "read", "listen"]), max_size=25)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_whatever_happens_it_holds_what_the_chain_has(steps: list[str]) -> None:
    async def live() -> None:
        truth: list[str] = []
        held: list[str] = []
        async with (
            asyncio.timeout(SECONDS),
            Server.start() as server,
            connect(server.url) as client,
            client.subscribe("network:bsc") as updates,
        ):
            for step in steps:
                if step == "happen":
                    truth += [event.id for event in await server.happen("tokens:bsc", "trades:bsc:0xab")]
                elif step == "retract" and truth:
                    await server.retract(truth.pop())
                elif step == "cut":
                    server.cut()
                elif step == "listen":
                    await server.listened("network:bsc")
                elif updates._inbox:
                    hold(held, await anext(updates))
            (last,) = await server.happen("tokens:bsc")
            while last.id not in held:
                hold(held, await anext(updates))
        assert held == [*truth, last.id]

    asyncio.run(live())


def hold(held: list[str], update: Any) -> None:
    if update.retracted:
        held.remove(update.event.id)
    else:
        assert update.event.id not in held
        held.append(update.event.id)


async def updates_of(subscription: Subscription) -> AsyncIterator[str]:
    async for update in subscription:
        yield update.event.id


@against_a_server
async def test_reading_ends_when_the_client_is_closed(server: Server) -> None:
    async with connect(server.url) as client:
        subscription = await client.subscribe("tokens:bsc").__aenter__()
        reading = asyncio.create_task(anext(updates_of(subscription), "end"))
        await asyncio.sleep(0)
    assert await reading == "end"
