"""Every attack that we know of, on a deployed stack as it should be guarded: each refused as it should be, and nobody
who behaves is the worse for it."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from statistics import median
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection as Socket
from websockets.typing import Origin, Subprotocol

from tests.e2e.client import SECONDS, Message
from tests.e2e.guarded import PAGE, Guarded, bearer, guarded, token
from tests.e2e.leaks import used
from tests.e2e.test_publish import publisher
from tests.e2e.test_socketio import receive
from tests.unit.auth import test_jwks as test_keys

HOUR = 3600


@pytest.fixture(scope="module")
def guard() -> Iterator[Guarded]:
    with guarded() as running:
        with running.behaving() as socket:
            running.latency = median(served(socket) for _ in range(20))
        yield running


@pytest.fixture(autouse=True)
def bystander(guard: Guarded) -> Iterator[None]:
    """One who behaves: connected before an attack and served after it, as is who comes only then."""
    with guard.behaving() as socket:
        yield
        served(socket)
    with guard.behaving() as newcomer:
        served(newcomer)


def served(socket: Socket) -> float:
    """Ask for something, and get it; how long that took (ms)."""
    begun = time.perf_counter()
    socket.send('{"type":"ping","id":"still"}')
    while (told := json.loads(socket.recv(SECONDS)))["type"] == "events":
        pass  # announcements
    assert told["type"] == "pong"
    return (time.perf_counter() - begun) * 1000


def now() -> int:
    return int(time.time())


FORGED: dict[str, Callable[[], str]] = {
    "somebody else's signature": lambda: token("ann", key=test_keys.OTHER_RSA),
    "expired": lambda: token("ann", exp=now() - HOUR),
    "not yet valid": lambda: token("ann", nbf=now() + HOUR),
    "without an end": lambda: jwt.encode({"sub": "ann", "aud": "app"}, test_keys.RSA, "RS256", {"kid": "r"}),
    "for another audience": lambda: token("ann", aud="another"),
    "from another issuer": lambda: token("ann", iss="https://evil.example"),
    "alg none": lambda: jwt.encode({"sub": "ann", "exp": now() + HOUR}, "", "none", {"kid": "r"}),
    "HS256 with the public key": lambda: test_keys.forged({"alg": "HS256", "typ": "JWT", "kid": "r"}),
    "RS256 that is HS256 with the public key": lambda: test_keys.forged({"alg": "RS256", "typ": "JWT", "kid": "r"}),
    "an algorithm that is not its key's": lambda: token("ann", key=test_keys.RSA, algorithm="RS512"),
    "a key id that nobody has": lambda: jwt.encode({"sub": "a"}, test_keys.RSA, "RS256", {"kid": "unknown"}),
    "of a user who is everybody": lambda: token("*"),
    "of a user who is another topic": lambda: token("ann:orders"),
    "oversize": lambda: "x" * 8_500,
    "no token at all": lambda: "nonsense",
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_bad_token_opens_nothing(guard: Guarded, name: str) -> None:
    bad = used(FORGED[name]())
    assert await guard.status(bearer(bad)) == 401
    protocols = [Subprotocol("chaincast.v1"), Subprotocol(f"chaincast.token.{bad}")]
    assert await guard.status(subprotocols=protocols) in (101, 401)  # "=" is none's signature: no subprotocol then
    async with guard.client(additional_headers={}) as client:
        await client.message("connected")
        await client.send({"type": "authenticate", "id": 1, "token": bad})
        refused = await client.message("error", id=1)
        assert (refused["code"], bad not in refused["message"]) == ("AUTH_FAILED", True)
        await client.send({"type": "subscribe", "id": 2, "topics": ["user:ann"]})
        assert (await client.message("error", id=2))["code"] == "AUTH_REQUIRED"


async def test_a_flood_of_unknown_keys_is_not_passed_on_to_the_issuer(guard: Guarded) -> None:
    begun = len(guard.asked)
    async with guard.client(additional_headers={}) as client:
        await client.message("connected")
        for i in range(60):
            bad = jwt.encode({"sub": "a"}, test_keys.RSA, "RS256", {"kid": f"unknown{i}"})
            await client.send({"type": "authenticate", "id": i, "token": bad})
        assert (await client.message("error", id=59))["code"] == "AUTH_FAILED"
        # Each execution environment looks once in ten seconds at most, and one socket's messages have one.
        assert len(guard.asked) - begun < 10
        await client.send({"type": "authenticate", "id": "good", "token": token("ann")})
        await client.message("authenticated", id="good")


async def test_a_token_in_the_url_does_not_count(guard: Guarded) -> None:
    async with guard.client(query=f"?token={token('ann')}", additional_headers={}) as client:
        await client.message("connected")
        await client.send({"type": "subscribe", "id": 1, "topics": ["price:X"]})
        assert (await client.message("error", id=1))["code"] == "AUTH_REQUIRED"


def ticket_for(guard: Guarded, shown: str, origin: str = PAGE) -> dict[str, Any]:
    url = guard.stack.outputs.http_url + "/ticket"
    request = urllib.request.Request(url, b"", {**bearer(shown), "Origin": origin}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            used(found["ticket"])
            return found
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, **json.load(error)}


async def test_a_ticket_opens_its_users_door_once(guard: Guarded) -> None:
    shown = await asyncio.to_thread(ticket_for, guard, token("ann"))
    ticket = shown["ticket"]
    async with guard.client(query=f"?ticket={ticket}", additional_headers={}) as client:
        await client.message("connected")
        await client.subscribe("user:ann")
        await client.send({"type": "subscribe", "id": 1, "topics": ["user:bob"]})
        assert (await client.message("error", id=1))["code"] == "PRIVATE_TOPIC"
    assert await guard.status(query=f"?ticket={ticket}") == 401, "replayed"
    fresh = (await asyncio.to_thread(ticket_for, guard, token("ann")))["ticket"]
    assert await guard.status(bearer(token("bob")), query=f"?ticket={fresh}") == 401, "another user's, with his token"
    assert await guard.status(query="?ticket=cct_" + "A" * 43) == 401, "invented"


async def test_a_ticket_is_for_who_has_a_token_and_a_page_of_ours(guard: Guarded) -> None:
    for bad in ("nonsense", token("ann", exp=now() - HOUR)):
        refused = await asyncio.to_thread(ticket_for, guard, bad)
        assert (refused["status"], refused["code"]) == (401, "AUTH_FAILED")
    refused = await asyncio.to_thread(ticket_for, guard, token("ann"), "https://evil.example")
    assert (refused["status"], refused["code"]) == (403, "FORBIDDEN_ORIGIN")


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evilapp.example",
        "https://app.example, https://evil.example",
    ],
)
async def test_a_page_of_somebody_elses_cannot_connect(guard: Guarded, origin: str | None) -> None:
    assert await guard.status(bearer(token("ann")), origin=None if origin is None else Origin(origin)) == 403


async def test_pages_of_the_site_can(guard: Guarded) -> None:
    for origin in (PAGE, "https://beta.app.example"):
        assert await guard.status(bearer(token("ann")), origin=Origin(origin)) == 101


async def test_a_denied_network_is_not_let_in(guard: Guarded) -> None:
    assert await guard.status(bearer(token("ann")), local_addr=("127.66.1.2", 0)) == 403
    assert await guard.status(bearer(token("ann")), local_addr=("127.67.1.2", 0)) == 101


@pytest.mark.parametrize(
    ("query", "messages", "code"),
    [
        (
            "",
            [{"type": "subscribe", "topics": [t]} for t in ("user:bob", "orders:bob", "portfolio:bob")],
            "PRIVATE_TOPIC",
        ),
        ("", [{"type": "subscribe", "topics": ["price:X", "user:bob"]}], "PRIVATE_TOPIC"),
        ("", [{"type": "subscribe", "topics": ["user:*"]}, {"type": "subscribe", "topics": ["user:#me"]}], "BAD_TOPIC"),
        ("", [{"type": "subscribe", "topics": [t]} for t in ("price:GOLD", "price:*")], "PREMIUM_TOPIC"),
        ("?dialect=coremem", [{"type": "subscribe", "channel": "user:bob"}], "UNKNOWN_TOPIC"),
        ("?dialect=coremem", [{"type": "subscribe", "channel": "alerts", "params": {"types": ["x:y"]}}], "BAD_TOPIC"),
        (
            "?dialect=moonx",
            [{"type": "subscribe", "data": {"channel": c}} for c in ("orders:bob", "user")],
            "UNKNOWN_TOPIC",
        ),
    ],
)
async def test_what_is_another_users_is_not_to_be_had_in_any_dialect(
    guard: Guarded, query: str, messages: list[dict[str, Any]], code: str
) -> None:
    async with guard.client("ann", query) as client:
        for message in messages:
            await client.send(message)

        def refusals(told: list[Message]) -> list[str]:
            return [str(m.get("code") or m["data"]["code"]) for m in told if m["type"] == "error"]

        await client.until(lambda told: len(refusals(told)) == len(messages))
        assert refusals(client.messages) == [code] * len(messages)


async def test_what_is_another_users_is_not_to_be_had_by_socket_io(guard: Guarded) -> None:
    async with guard.socket("ann", "?EIO=4&transport=websocket") as socket:
        assert (await receive(socket)).startswith("0")
        await socket.send("40")
        assert [(await receive(socket))[:2] for _ in range(3)] == ["40", "42", "42"]
        for number, room in enumerate(("user:bob", "orders:bob", "portfolio:bob")):
            await socket.send(f'42{number}["join_room",{{"room":"{room}"}}]')
            refused = ""
            while not refused.startswith(f"43{number}"):
                refused = await receive(socket)
            assert json.loads(refused[3:])[0]["code"] == "PRIVATE_TOPIC"


@pytest.mark.parametrize(
    ("verb", "path"), [("POST", "/publish"), ("DELETE", "/connections/x"), ("DELETE", "/users/ann/connections")]
)
async def test_who_has_no_right_to_publish_or_administer_cannot(guard: Guarded, verb: str, path: str) -> None:
    def publish(headers: dict[str, str]) -> int:
        url = guard.stack.outputs.http_url + path
        body = json.dumps({"kind": "price", "symbol": "X", "data": {"price": 1.0}}).encode() if verb == "POST" else None
        try:
            urllib.request.urlopen(urllib.request.Request(url, body, headers, method=verb), timeout=30).close()
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        return 200

    assert await asyncio.to_thread(publish, {}) == 403
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIDUNKNOWN/20261121/us-east-1/execute-api/aws4_request"}
    assert await asyncio.to_thread(publish, signed) == 403


async def test_ten_thousand_messages_end_the_connection_and_bar_the_address(guard: Guarded) -> None:
    address = guard.address()
    async with guard.client("flood", local_addr=(address, 0)) as client:
        await client.message("connected")
        with suppress(ConnectionClosed):
            for i in range(10_000):
                await client.send({"type": "ping", "id": i})
        await asyncio.wait_for(client.socket.wait_closed(), SECONDS)
        codes = Counter(m.get("code", m["type"]) for m in client.messages[1:])
    assert codes["pong"] <= 200, "two minutes' worth at most, as a minute may end meanwhile"
    assert codes["RATE_LIMITED"] >= 100
    assert sum(codes.values()) < 500
    assert await guard.status(bearer(token("flood")), local_addr=(address, 0)) == 429


async def test_of_a_thousand_connections_from_one_address_ten_get_in(guard: Guarded) -> None:
    address = guard.address()
    gate = asyncio.Semaphore(200)

    async def one() -> int:
        async with gate:
            return await guard.status(bearer(token("swarm")), local_addr=(address, 0))

    begun = time.monotonic()
    found = Counter(await asyncio.gather(*(one() for _ in range(1_000))))
    windows = 1 + int((time.monotonic() - begun) / 60)
    assert set(found) == {101, 429}
    assert 10 <= found[101] <= 10 * windows, "as many as may in each minute that it took"


async def test_of_200_at_once_from_one_address_ten_get_in(guard: Guarded) -> None:
    address = guard.address()
    attempts = (guard.status(bearer(token("many")), local_addr=(address, 0)) for _ in range(200))
    assert Counter(await asyncio.gather(*attempts)) == {101: 10, 429: 190}


@pytest.mark.parametrize("megabytes", [1, 10])
async def test_a_huge_message_ends_its_connection(guard: Guarded, megabytes: int) -> None:
    async with guard.client() as client:
        await client.message("connected")
        with suppress(ConnectionClosed):
            await client.send("x" * (megabytes << 20))
        await asyncio.wait_for(client.socket.wait_closed(), SECONDS)


@pytest.mark.parametrize(
    ("message", "codes"),
    [
        ("[" * 30_000, {"BAD_JSON", "TOO_DEEP"}),
        ('{"type":"subscribe","topics":' + '{"a":' * 5_000 + "1" + "}" * 5_001, {"TOO_DEEP"}),
        (b'{"type":"ping","id":"\xff\xfe\x80"}', {"BAD_UTF8", "BAD_JSON", "pong"}),
        ('{"type":"subscribe","topics":["price:\\ud800"]}', {"BAD_JSON", "BAD_TOPIC", "BAD_MESSAGE"}),
        ('{"type":"ping","id":"\\udfff\\ud800"}', {"BAD_JSON"}),
        ('{"type":"ping","id":1e400}', {"BAD_JSON", "BAD_MESSAGE"}),
        ('{"type":"ping","id":' + "9" * 5_000 + "}", {"BAD_JSON", "BAD_MESSAGE"}),
        ('{"type":"get","what":"trades","network":"anvil","token":"0x","limit":99999999999999999999}', {"BAD_MESSAGE"}),
        ('{"type":"subscribe","topics":[' + ",".join(['"price:X"'] * 3_000) + "]}", {"TOO_MANY_TOPICS"}),
        ('{"type":"authenticate","token":"' + "e" * 30_000 + '"}', {"AUTH_FAILED"}),
        ('{"type":"subscribe","topics":["' + "x" * 30_000 + '"]}', {"BAD_TOPIC", "BAD_MESSAGE"}),
        ("\x00\x01\x02", {"BAD_JSON"}),
    ],
)
async def test_a_hostile_message_is_answered_by_a_code(guard: Guarded, message: str | bytes, codes: set[str]) -> None:
    async with guard.client() as client:
        await client.message("connected")
        await client.send(message)
        await client.until(lambda messages: len(messages) > 1)
        assert client.messages[1].get("code", client.messages[1]["type"]) in codes
        await client.send({"type": "ping", "id": "still here"})
        await client.message("pong", id="still here")


async def test_who_has_not_said_who_he_is_hears_no_announcement(guard: Guarded) -> None:
    async with guard.client(additional_headers={}) as stranger, guard.client() as known:
        await stranger.message("connected")
        await known.message("connected")
        with pytest.MonkeyPatch.context() as patch, publisher(guard.stack, patch) as backend:
            await asyncio.to_thread(
                backend.publish, {"kind": "system.alert", "data": {"level": "info", "message": "for users"}}
            )
        await known.until(lambda told: any(m["type"] == "events" for m in told))
        await stranger.send({"type": "ping", "id": 1})
        await stranger.until(lambda told: told[-1]["type"] in ("pong", "error"))
        assert stranger.events == []


def test_latency_before_and_after(guard: Guarded) -> None:
    """Not asserted: what is printed (`pytest -s`) goes into the record of who runs this."""
    with guard.behaving() as socket:
        after = median(served(socket) for _ in range(20))
    print(f"round trip, median: {guard.latency:.1f} ms before all attacks, {after:.1f} ms after them")
