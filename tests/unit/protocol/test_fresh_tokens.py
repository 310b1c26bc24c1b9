"""Expiry of a token in every protocol, and authentication with a fresh one on the same connection."""

from __future__ import annotations

import json

import pytest

from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.protocol.commands import Authenticate, Authenticated, AuthenticationExpired, User
from chaincast.protocol.dialects import registry
from tests.unit.protocol.sample_events import CHAINS

ANN = User("ann", "ann@example.com")
NOW = 1_700_000_000_000


def frames(dialect: str, outcome: Authenticated | AuthenticationExpired | RequestError) -> list[object]:
    messages = registry.get(dialect, CHAINS).outcome_messages(outcome, NOW)
    return [json.loads(frame.lstrip(b"0123456789")) for frame in messages]


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("chaincast.v1", [{"type": "auth_expired", "closes_in": 60}]),
        ("coremem", [{"type": "auth_expired", "timeout": 60_000, "timestamp": NOW}]),
        (
            "moonx",  # followed by the message that its clients already handle
            [
                {"id": f"{type_}_{NOW}", "type": type_, "timestamp": NOW, "data": {"timeout": 60_000}}
                for type_ in ("auth_expired", "auth_required")
            ],
        ),
        (
            "socketio",
            [
                [
                    "auth_expired",
                    {"message": "The token has expired: emit 'authenticate' with a fresh one", "timeout": 60_000},
                ]
            ],
        ),
    ],
)
def test_expiry_is_reported_with_the_time_left_to_authenticate(dialect: str, expected: list[object]) -> None:
    assert frames(dialect, AuthenticationExpired(60)) == expected


@pytest.mark.parametrize(
    ("dialect", "message", "request_id"),
    [
        ("chaincast.v1", '{"type":"authenticate","id":5,"token":"a.b.c"}', 5),
        ("coremem", '{"type":"authenticate","token":"a.b.c"}', None),
        (
            "moonx",
            '{"id":"m1","type":"authenticate","timestamp":1,"data":{"token":"a.b.c"}}',
            ReplyContext("authenticate", ("m1", "")),
        ),
        ("socketio", '42["authenticate",{"token":"a.b.c"}]', ReplyContext("authenticate")),
        ("socketio", '427["authenticate",{"token":"a.b.c"}]', ReplyContext("authenticate", (), 7)),
    ],
)
def test_a_fresh_token(dialect: str, message: str, request_id: object) -> None:
    command = registry.get(dialect, CHAINS).decode(message.encode(), 10_000, 5)
    assert command == Authenticate("a.b.c", request_id)  # type: ignore[arg-type]  # each protocol's own


@pytest.mark.parametrize(
    ("dialect", "message"),
    [
        ("chaincast.v1", '{"type":"authenticate","token":7}'),
        ("coremem", '{"type":"authenticate"}'),
        ("coremem", '{"type":"authenticate","token":["a"]}'),
        ("moonx", '{"id":"m1","type":"authenticate","timestamp":1,"data":{}}'),
        ("socketio", '42["authenticate"]'),
        ("socketio", '42["authenticate",{"token":null}]'),
    ],
)
def test_a_missing_or_wrong_token_is_refused(dialect: str, message: str) -> None:
    with pytest.raises(RequestError, match=r"token|object") as caught:
        registry.get(dialect, CHAINS).decode(message.encode(), 10_000, 5)
    assert caught.value.code is Code.BAD_MESSAGE


def test_the_reply_names_the_new_user() -> None:
    user = {"user": {"id": "ann", "email": "ann@example.com"}}
    assert frames("coremem", Authenticated(ANN)) == [{"type": "authenticated", "userId": "ann"}]
    assert frames("coremem", Authenticated(None)) == [{"type": "authenticated", "userId": "anonymous"}]
    assert frames("socketio", Authenticated(ANN, ReplyContext("authenticate"))) == [["authenticated", user]]
    acknowledged = registry.get("socketio", CHAINS).outcome_messages(
        Authenticated(ANN, ReplyContext("authenticate", (), 7)), NOW
    )
    assert [frame[:3] for frame in acknowledged] == [b"42[", b"437"]
    assert json.loads(acknowledged[1][3:]) == [{"success": True, "data": user}]


@pytest.mark.parametrize("dialect", ["chaincast.v1", "coremem", "moonx", "socketio"])
def test_a_refusal_says_when_to_retry(dialect: str) -> None:
    refused = RequestError(Code.RATE_LIMITED, "slowly", details={"retry_after": 17})
    (reply,) = frames(dialect, refused)
    assert '"RATE_LIMITED"' in json.dumps(reply)
    assert ": 17" in json.dumps(reply)
