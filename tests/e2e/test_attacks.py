"""Tests of known attacks on a protected stack: each is refused, and legitimate clients are still served."""

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
from tests.e2e.leaks import register_secret
from tests.e2e.test_publish import publisher
from tests.e2e.test_socketio import receive
from tests.scale import sized
from tests.unit.auth import test_jwks as test_keys

HOUR = 3600
FLOOD = sized(2_000, full=10_000)
SWARM = sized(300, full=1_000)


@pytest.fixture(scope="module")
def guard() -> Iterator[Guarded]:
    with guarded() as running:
        with running.connected_client() as socket:
            running.latency = median(served(socket) for _ in range(20))
        yield running


@pytest.fixture(autouse=True)
def bystander(guard: Guarded) -> Iterator[None]:
    """Check that a client connected before the attack is served after it, and so is a new one."""
    with guard.connected_client() as socket:
        yield
        served(socket)
    with guard.connected_client() as newcomer:
        served(newcomer)


def served(socket: Socket) -> float:
    """Send a ping, wait for the pong, and return the time that it took in ms."""
    began = time.perf_counter()
    socket.send('{"type":"ping","id":"still"}')
    while (message := json.loads(socket.recv(SECONDS)))["type"] == "events":
        pass  # announcements
    assert message["type"] == "pong"
    return (time.perf_counter() - began) * 1000


def now() -> int:
    return int(time.time())


FORGED: dict[str, Callable[[], str]] = {
    "signed with another key": lambda: token("ann", key=test_keys.OTHER_RSA),
    "expired": lambda: token("ann", exp=now() - HOUR),
    "not yet valid": lambda: token("ann", nbf=now() + HOUR),
    "without an end": lambda: jwt.encode({"sub": "ann", "aud": "app"}, test_keys.RSA, "RS256", {"kid": "r"}),
    "for another audience": lambda: token("ann", aud="another"),
    "from another issuer": lambda: token("ann", iss="https://evil.example"),
    "alg none": lambda: jwt.encode({"sub": "ann", "exp": now() + HOUR}, "", "none", {"kid": "r"}),
    "HS256 with the public key": lambda: test_keys.forged({"alg": "HS256", "typ": "JWT", "kid": "r"}),
    "RS256 that is HS256 with the public key": lambda: test_keys.forged({"alg": "RS256", "typ": "JWT", "kid": "r"}),
    "an algorithm that is not its key's": lambda: token("ann", key=test_keys.RSA, algorithm="RS512"),
    "with an unknown key id": lambda: jwt.encode({"sub": "a"}, test_keys.RSA, "RS256", {"kid": "unknown"}),
    "of a user named *": lambda: token("*"),
    "of a user named like a topic": lambda: token("ann:orders"),
    "oversize": lambda: "x" * 8_500,
    "no token at all": lambda: "nonsense",
}


@pytest.mark.parametrize("name", FORGED)
async def test_an_invalid_token_is_refused(guard: Guarded, name: str) -> None:
    bad = register_secret(FORGED[name]())
    assert await guard.status(bearer(bad)) == 401
    protocols = [Subprotocol("chaincast.v1"), Subprotocol(f"chaincast.token.{bad}")]
    assert await guard.status(subprotocols=protocols) in (
        101,
        401,
    )  # the token of "alg none" ends in a dot, which is no valid subprotocol
    async with guard.client(additional_headers={}) as client:
        await client.message("connected")
        await client.send({"type": "authenticate", "id": 1, "token": bad})
        refused = await client.message("error", id=1)
        assert (refused["code"], bad not in refused["message"]) == ("AUTH_FAILED", True)
        await client.send({"type": "subscribe", "id": 2, "topics": ["user:ann"]})
        assert (await client.message("error", id=2))["code"] == "AUTH_REQUIRED"


async def test_a_flood_of_unknown_keys_does_not_reach_the_issuer(guard: Guarded) -> None:
    before = len(guard.key_requests)
    async with guard.client(additional_headers={}) as client:
        await client.message("connected")
        for i in range(60):
            bad = jwt.encode({"sub": "a"}, test_keys.RSA, "RS256", {"kid": f"unknown{i}"})
            await client.send({"type": "authenticate", "id": i, "token": bad})
        assert (await client.message("error", id=59))["code"] == "AUTH_FAILED"
        # An execution environment requests keys at most every ten seconds, and serves all messages of a connection.
        assert len(guard.key_requests) - before < 10
        await client.send({"type": "authenticate", "id": "good", "token": token("ann")})
        await client.message("authenticated", id="good")


async def test_a_token_in_the_url_does_not_count(guard: Guarded) -> None:
    async with guard.client(query=f"?token={token('ann')}", additional_headers={}) as client:
        await client.message("connected")
        await client.send({"type": "subscribe", "id": 1, "topics": ["price:X"]})
        assert (await client.message("error", id=1))["code"] == "AUTH_REQUIRED"


def ticket_for(guard: Guarded, value: str, origin: str = PAGE) -> dict[str, Any]:
    """Request a ticket with a token. Return the response, with member `status` if it is an error."""
    url = guard.stack.outputs.http_url + "/ticket"
    request = urllib.request.Request(url, b"", {**bearer(value), "Origin": origin}, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=120) as response:
            document: dict[str, Any] = json.load(response)
            register_secret(document["ticket"])
            return document
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code, **json.load(error)}


async def test_a_ticket_authenticates_its_user_once(guard: Guarded) -> None:
    ticket = (await asyncio.to_thread(ticket_for, guard, token("ann")))["ticket"]
    async with guard.client(query=f"?ticket={ticket}", additional_headers={}) as client:
        await client.message("connected")
        await client.subscribe("user:ann")
        await client.send({"type": "subscribe", "id": 1, "topics": ["user:bob"]})
        assert (await client.message("error", id=1))["code"] == "PRIVATE_TOPIC"
    assert await guard.status(query=f"?ticket={ticket}") == 401, "replayed"
    fresh = (await asyncio.to_thread(ticket_for, guard, token("ann")))["ticket"]
    assert await guard.status(bearer(token("bob")), query=f"?ticket={fresh}") == 401, (
        "a ticket of another user than the token"
    )
    assert await guard.status(query="?ticket=cct_" + "A" * 43) == 401, "invented"


async def test_a_ticket_needs_a_valid_token_and_an_allowed_page(guard: Guarded) -> None:
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
async def test_a_page_of_another_site_cannot_connect(guard: Guarded, origin: str | None) -> None:
    assert await guard.status(bearer(token("ann")), origin=None if origin is None else Origin(origin)) == 403


async def test_pages_of_the_site_can(guard: Guarded) -> None:
    for origin in (PAGE, "https://beta.app.example"):
        assert await guard.status(bearer(token("ann")), origin=Origin(origin)) == 101


async def test_an_address_of_a_denied_network_is_refused(guard: Guarded) -> None:
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
async def test_topics_of_another_user_are_refused_in_every_dialect(
    guard: Guarded, query: str, messages: list[dict[str, Any]], code: str
) -> None:
    async with guard.client("ann", query) as client:
        for message in messages:
            await client.send(message)

        def refusals(received: list[Message]) -> list[str]:
            return [str(m.get("code") or m["data"]["code"]) for m in received if m["type"] == "error"]

        await client.until(lambda received: len(refusals(received)) == len(messages))
        assert refusals(client.messages) == [code] * len(messages)


async def test_topics_of_another_user_are_refused_in_socket_io(guard: Guarded) -> None:
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
async def test_publishing_and_administration_need_credentials(guard: Guarded, verb: str, path: str) -> None:
    def publish(headers: dict[str, str]) -> int:
        url = guard.stack.outputs.http_url + path
        body = json.dumps({"kind": "price", "symbol": "X", "data": {"price": 1.0}}).encode() if verb == "POST" else None
        try:
            urllib.request.urlopen(urllib.request.Request(url, body, headers, method=verb), timeout=120).close()
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        return 200

    assert await asyncio.to_thread(publish, {}) == 403
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIDUNKNOWN/20261121/us-east-1/execute-api/aws4_request"}
    assert await asyncio.to_thread(publish, signed) == 403


async def test_a_flood_of_messages_ends_the_connection_and_bans_the_address(guard: Guarded) -> None:
    address = guard.address()
    async with guard.client("flood", local_addr=(address, 0)) as client:
        await client.message("connected")
        with suppress(ConnectionClosed):
            for i in range(FLOOD):
                await client.send({"type": "ping", "id": i})
        await asyncio.wait_for(client.socket.wait_closed(), SECONDS)
        codes = Counter(m.get("code", m["type"]) for m in client.messages[1:])
    # The limit of two minutes, because a minute may end during the flood. A message that arrives late at the end of a
    # minute begins its counter again, which the first message of the next minute has removed.
    assert codes["pong"] <= 200 + 10
    assert codes["RATE_LIMITED"] >= 100
    assert sum(codes.values()) < 500
    assert await guard.status(bearer(token("flood")), local_addr=(address, 0)) == 429


async def test_ten_of_many_connections_from_one_address_are_accepted(guard: Guarded) -> None:
    address = guard.address()
    gate = asyncio.Semaphore(200)

    async def attempt() -> int:
        async with gate:
            return await guard.status(bearer(token("swarm")), local_addr=(address, 0))

    began = time.monotonic()
    statuses = Counter(await asyncio.gather(*(attempt() for _ in range(SWARM))))
    windows = 1 + int((time.monotonic() - began) / 60)
    assert set(statuses) == {101, 429}
    assert 10 <= statuses[101] <= 10 * windows, "the limit of each minute that it took"


async def test_ten_of_200_concurrent_connections_from_one_address_are_accepted(guard: Guarded) -> None:
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


async def test_an_unauthenticated_client_receives_no_announcement(guard: Guarded) -> None:
    async with guard.client(additional_headers={}) as anonymous, guard.client() as authenticated:
        await anonymous.message("connected")
        await authenticated.message("connected")
        with pytest.MonkeyPatch.context() as patch, publisher(guard.stack, patch) as backend:
            await asyncio.to_thread(
                backend.publish, {"kind": "system.alert", "data": {"level": "info", "message": "for users"}}
            )
        await authenticated.until(lambda received: any(m["type"] == "events" for m in received))
        await anonymous.send({"type": "ping", "id": 1})
        await anonymous.until(lambda received: received[-1]["type"] in ("pong", "error"))
        assert anonymous.events == []


def test_latency_before_and_after(guard: Guarded) -> None:
    """Print latencies for the reader (`pytest -s`). They depend on the machine, so nothing is asserted."""
    with guard.connected_client() as socket:
        after = median(served(socket) for _ in range(20))
    print(f"round trip, median: {guard.latency:.1f} ms before all attacks, {after:.1f} ms after them")
