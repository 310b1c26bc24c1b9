from __future__ import annotations

import json

import pytest

from chaincast.errors import Code, ProtocolViolation, ReplyContext, RequestError
from chaincast.protocol.commands import (
    CloseConnection,
    Command,
    Connected,
    ConnectionClosing,
    Join,
    Joined,
    KeepAlive,
    Leave,
    NoReply,
    Ping,
    Pong,
    User,
)
from tests.unit.protocol.socketio_client import SOCKETIO, decode, replies


@pytest.mark.parametrize(
    ("frame", "command"),
    [
        ("1", CloseConnection()),
        ("3", KeepAlive()),
        ("5", KeepAlive()),
        ("6", KeepAlive()),
        ("2probe", Ping(ReplyContext("probe", ("probe",)))),
        ("2", Ping(ReplyContext("probe", ("",)))),
        ("40", Join("", ReplyContext("connect", ("/",)))),
        ("40{}", Join("", ReplyContext("connect", ("/",)))),
        ('40{"token":"a.b.c","x":1}', Join("a.b.c", ReplyContext("connect", ("/",)))),
        ('40{"token":7}', Join("", ReplyContext("connect", ("/",)))),
        ("40/,", Join("", ReplyContext("connect", ("/",)))),
        ("41", Leave()),
        ("41/admin,", KeepAlive()),
        ("4312[]", KeepAlive()),
        ('42["ping"]', Ping(ReplyContext("moonx-gateway/ping"))),
        ('425["ping",{}]', Ping(ReplyContext("moonx-gateway/ping", (), 5))),
    ],
)
def test_packets(frame: str, command: Command) -> None:
    assert decode(frame) == command


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "abc",
        "7",
        "0{}",
        "4",
        "4abc",
        "48",
        "42",
        "42{}",
        "42[]",
        "42[[]]",
        "42[null]",
        "42[true]",
        '42["connect"]',
        '42["disconnect",1]',
        '42abc["message-with-ack",1]',
        '42["a"',
        '42/admin,["a"]',
        "40[]",
        '40"x"',
        "41{}",
        "43[]",
        '43["a"]',
        "43/admin,1[]",
        '44{"message":"x"}',
        '421-["a"]',
        '45["a"]',
        "42" + "[" * 40 + "]" * 40,
    ],
)
def test_a_protocol_violation_closes_the_connection(frame: str) -> None:
    with pytest.raises(ProtocolViolation) as caught:
        decode(frame)
    assert SOCKETIO.outcome_messages(caught.value, 0) == ()


def test_another_namespace_is_refused_as_the_protocol_says() -> None:
    for frame, answer in (
        ("40/random", b'44/random,{"message":"Invalid namespace"}'),
        ('40/random,{"token":"x"}', b'44/random,{"message":"Invalid namespace"}'),
    ):
        with pytest.raises(RequestError) as caught:
            decode(frame)
        assert not isinstance(caught.value, ProtocolViolation)
        assert SOCKETIO.outcome_messages(caught.value, 0) == (answer,)


def test_a_bad_token_is_a_connect_error() -> None:
    refused = RequestError(Code.AUTH_FAILED, "Invalid token: expired", ReplyContext("connect", ("/",)))
    (frame,) = SOCKETIO.outcome_messages(refused, 0)
    assert frame.startswith(b"44{")
    assert json.loads(frame[2:]) == {"message": "Invalid token: expired", "data": {"code": "AUTH_FAILED"}}


@pytest.mark.parametrize(
    ("frame", "answered"),
    [
        ('451-["upload",{"_placeholder":true,"num":0}]', [["error", "UNSUPPORTED"]]),
        ('451-12["upload",{"_placeholder":true,"num":0}]', [["error", "UNSUPPORTED"], [12, "UNSUPPORTED"]]),
        ("bAQIDBA==", [["error", "UNSUPPORTED"]]),
        ('42["nonsense",{}]', [["error", "UNKNOWN_TYPE"]]),
        ('423["nonsense",{}]', [["error", "UNKNOWN_TYPE"], [3, "UNKNOWN_TYPE"]]),
        ("42[7]", [["error", "UNKNOWN_TYPE"]]),
        ('42["subscribe:token"]', [["subscription:error", "BAD_MESSAGE"]]),
        ('429["subscribe:token",{"tokenAddress":7}]', [["subscription:error", "BAD_MESSAGE"], [9, "BAD_MESSAGE"]]),
        ('42["subscribe:network",{"network":"a:b"}]', [["subscription:error", "BAD_TOPIC"]]),
        ('42["get:price",{}]', [["error", "BAD_MESSAGE"]]),
        ('428["get:price",{}]', [[8, "BAD_MESSAGE"]]),
        ('42["get:trades",{"tokenAddress":"0x1","limit":101}]', [["error", "BAD_MESSAGE"]]),
        ('42["subscribe",{}]', [["error", "BAD_MESSAGE"]]),
        ('42["subscribe",{"types":["gossip"]}]', [["error", "UNKNOWN_TOPIC"]]),
        ('42["subscribe",7]', [["error", "BAD_MESSAGE"]]),
        ('42["getHistory",{"contractId":"a","limit":0}]', [["error", "BAD_MESSAGE"]]),
        ('42["join_room",{"room":"token:bsc:0x1"}]', [["error", "UNKNOWN_TOPIC"]]),
        ('42["join_room",{"room":"chess"}]', [["error", "UNKNOWN_TOPIC"]]),
        ('42["join_room"]', [["error", "BAD_MESSAGE"]]),
    ],
)
def test_an_invalid_event_is_refused_in_its_vocabulary_and_the_connection_stays_open(
    frame: str, answered: list[list[object]]
) -> None:
    with pytest.raises(RequestError) as caught:
        decode(frame)
    assert not isinstance(caught.value, ProtocolViolation)
    assert [[name, data["code"]] for name, data in replies(caught.value)] == answered


def test_oversized_or_non_text_messages_are_refused() -> None:
    for body, code in ((b"4" * 10_001, Code.TOO_LARGE), (b"42\xff", Code.BAD_UTF8)):
        with pytest.raises(RequestError) as caught:
            SOCKETIO.decode(body, 10_000, 5)
        assert caught.value.code == code
        assert [name for name, _ in replies(caught.value)] == ["error"]


def test_the_greetings() -> None:
    (opened,) = SOCKETIO.outcome_messages(Connected("L1=", (), 32_768), 0)
    assert opened.startswith(b"0")
    assert json.loads(opened[1:]) == {
        "sid": "L1=",
        "upgrades": [],
        "pingInterval": 300_000,
        "pingTimeout": 250_000,
        "maxPayload": 32_768,
    }
    joined, *rest = SOCKETIO.outcome_messages(Joined("L1=", User("u1", "u@example.com")), 5)
    assert joined == b'40{"sid":"L1="}'
    assert [json.loads(frame[2:]) for frame in rest] == [
        [
            "connected",
            {
                "message": "Connected to WebSocket server",
                "socketId": "L1=",
                "connectionId": "L1=",
                "userId": "u1",
                "timestamp": 5,
            },
        ],
        ["authenticated", {"user": {"id": "u1", "email": "u@example.com"}}],
    ]
    _, connected = SOCKETIO.outcome_messages(Joined("L1=", None), 5)
    assert json.loads(connected[2:])[1]["userId"] == "anonymous"
    assert SOCKETIO.outcome_messages(Pong(1, ReplyContext("probe", ("probe",))), 0) == (b"3probe",)
    assert SOCKETIO.ping_message(0) == b"2"
    assert SOCKETIO.outcome_messages(NoReply(), 0) == (b"6",), "an empty frame is a protocol error"
    assert SOCKETIO.outcome_messages(ConnectionClosing(), 0) == ()
