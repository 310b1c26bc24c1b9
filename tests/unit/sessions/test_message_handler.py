"""Tests of the message handler with fakes: replies, refusals, abuse, dialect detection, failures."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from chaincast.config.function_settings import Settings
from chaincast.errors import Code, ProtocolViolation, RequestError
from chaincast.metrics.logger import make_logger
from chaincast.policy.rate_limits import Limits, MessageCounts
from chaincast.protocol.commands import (
    Authenticate,
    Authenticated,
    AuthenticationExpired,
    Caller,
    Command,
    ConnectionClosing,
    Outcome,
    Pong,
    User,
)
from chaincast.sessions.connection_store import Connection, IdentityChanged
from chaincast.sessions.message_handler import EXPIRY_DELAY_SECONDS, MessageHandler
from tests.unit.handler_fakes import (
    IP,
    NOW,
    SETTINGS,
    CountingMetrics,
    RecordingConnectionApi,
    connection,
    websocket_event,
)

LIMITS = Limits(messages_per_minute=10, ban_seconds=60)


class Sessions:
    """Fakes of the stores and of the command handler, and a message handler that uses them."""

    def __init__(self, record: Connection | None, settings: Settings = SETTINGS, *, messages: int = 1) -> None:
        self.record = record
        self.messages = messages
        self.outcome: Outcome | Exception | None = None
        self.store_error: Exception | None = None
        self.fresh: list[Connection | None] = []
        """The records of later reads, in order."""
        self.identity = 0
        """The identity that the command handler accepts."""
        self.callers: list[Caller] = []
        self.commands: list[Command] = []
        self.dialects: list[str] = []
        self.moved: list[str] = []
        self.bans: list[tuple[str, int]] = []
        self.is_dialect_news = True
        self.api = RecordingConnectionApi()
        self.metrics = CountingMetrics()
        self.now = NOW
        self.handler = MessageHandler(
            settings, self, self, self, self, self, self.api, self.metrics, make_logger("test"), lambda: self.now
        )

    def count(self, connection_id: str, now_ms: int) -> tuple[Connection, MessageCounts] | None:
        if self.store_error is not None:
            raise self.store_error
        return None if self.record is None else (self.record, MessageCounts(self.messages))

    def get(self, connection_id: str) -> Connection | None:
        return self.fresh.pop(0)

    def handle(self, command: Command, caller: Caller, now_ms: int) -> Outcome:
        self.commands.append(command)
        self.callers.append(caller)
        if self.record is not None and caller.identity != self.identity:
            raise IdentityChanged
        if isinstance(self.outcome, Exception) and not isinstance(self.outcome, RequestError):
            raise self.outcome
        return self.outcome or Pong(now_ms, command.request_id)

    def set_dialect(self, connection_id: str, dialect: str) -> bool:
        self.dialects.append(dialect)
        return self.is_dialect_news

    def dialect_changed(self, connection: Connection, dialect: str) -> None:
        self.moved.append(dialect)

    def ban_until(self, owner: str, until_ms: int) -> None:
        self.bans.append((owner, until_ms))

    def send(self, body: object, **more: Any) -> dict[str, Any] | None:
        """Send a message. Return the reply, parsed; None if there is none."""
        response = self.handler.handle(websocket_event("MESSAGE", body, **more))
        assert response["statusCode"] == 200
        return json.loads(response["body"]) if "body" in response else None


PING = {"type": "ping", "id": 7}


def test_a_command_is_decoded_carried_out_and_its_outcome_returned() -> None:
    sessions = Sessions(connection(user="ann", premium=True))
    assert sessions.send(PING) == {"type": "pong", "id": 7, "timestamp": NOW}
    assert sessions.callers == [Caller("c1", "chaincast.v1", "ann", None, premium=True)]
    assert sessions.metrics.counts == {"MessagesIn chaincast.v1": 1, "MessagesOut answer": 1}
    assert (sessions.api.posted, sessions.api.closed) == ([], [])


def test_a_base64_body_is_decoded() -> None:
    body = b64encode(json.dumps(PING).encode()).decode()
    reply = Sessions(connection()).send(body, isBase64Encoded=True)
    assert reply is not None
    assert reply["type"] == "pong"


def test_all_messages_of_a_reply_but_the_last_are_posted() -> None:
    sessions = Sessions(connection(dialect="moonx"))
    sessions.outcome = AuthenticationExpired(30)  # two messages in this dialect
    reply = sessions.send({"id": "p", "type": "ping", "timestamp": 1, "data": {}})
    assert reply is not None
    assert [(id_, json.loads(message)["type"]) for id_, message in sessions.api.posted] == [("c1", "auth_expired")]
    assert reply["type"] == "auth_required"
    assert sessions.metrics.counts["MessagesOut answer"] == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "BAD_JSON"),
        ("{", "BAD_JSON"),
        ("[]", "BAD_MESSAGE"),
        ("{}", "BAD_MESSAGE"),
        ({"type": "dance"}, "UNKNOWN_TYPE"),
        ("\ud800", "BAD_UTF8"),
        ({"type": "ping", "padding": "x" * 1_000}, "TOO_LARGE"),
    ],
)
def test_a_malformed_message_is_answered_with_an_error(body: object, code: str) -> None:
    sessions = Sessions(connection())
    reply = sessions.send(body)
    assert reply is not None
    assert (reply["type"], reply["code"]) == ("error", code)
    assert sessions.commands == []
    assert sessions.metrics.counts[f"Errors {code}"] == 1


def test_a_connection_without_a_record_must_connect_again() -> None:
    reply = Sessions(None).send(PING)
    assert reply is not None
    assert reply["code"] == "NOT_CONNECTED"


def test_a_failing_store_is_answered_without_details() -> None:
    sessions = Sessions(connection())
    sessions.store_error = RuntimeError("ResourceNotFoundException")
    reply = sessions.send(PING)
    assert reply is not None
    assert (reply["code"], "ResourceNotFound" in reply["message"]) == ("INTERNAL", False)
    assert sessions.metrics.counts["Errors INTERNAL"] == 1


def test_a_failing_command_is_answered_with_its_id() -> None:
    sessions = Sessions(connection())
    sessions.outcome = ZeroDivisionError()
    reply = sessions.send(PING)
    assert reply is not None
    assert (reply["code"], reply["id"]) == ("INTERNAL", 7)


def test_a_command_that_is_refused_is_counted_as_an_error() -> None:
    sessions = Sessions(connection())
    sessions.outcome = RequestError(Code.MAX_SUBSCRIPTIONS, "51 topics; at most 50", 7)
    reply = sessions.send(PING)
    assert reply is not None
    assert reply["code"] == "MAX_SUBSCRIPTIONS"
    assert sessions.metrics.counts["RateLimitHits MAX_SUBSCRIPTIONS"] == 1
    assert sessions.api.closed == []


@pytest.mark.parametrize("outcome", [ConnectionClosing(), ProtocolViolation(Code.BAD_MESSAGE, "joined already")])
def test_a_violation_and_a_close_command_close_the_connection(outcome: Outcome) -> None:
    sessions = Sessions(connection())
    sessions.outcome = outcome
    sessions.send(PING)
    assert sessions.api.closed == ["c1"]


def test_a_good_token_is_counted_and_a_bad_one_is_not() -> None:
    sessions = Sessions(connection())
    sessions.outcome = Authenticated(User("ann"))
    sessions.send({"type": "authenticate", "token": "t"})
    assert isinstance(sessions.commands[0], Authenticate)
    assert sessions.metrics.counts["Authentications ACCEPTED"] == 1
    sessions.outcome = RequestError(Code.AUTH_FAILED, "Invalid token")
    sessions.send({"type": "authenticate", "token": "t"})
    assert sessions.metrics.counts["Authentications ACCEPTED"] == 1
    assert sessions.metrics.counts["Authentications AUTH_FAILED"] == 1


def test_beyond_the_limit_a_message_is_refused_and_the_connection_stays_open() -> None:
    sessions = Sessions(connection(), replace(SETTINGS, limits=LIMITS), messages=11)
    reply = sessions.send(PING)
    assert reply is not None
    assert (reply["code"], reply["id"]) == ("RATE_LIMITED", 7)
    assert (sessions.commands, sessions.bans, sessions.api.closed) == ([], [], [])


def test_far_beyond_the_limit_the_connection_is_closed_and_its_address_banned() -> None:
    sessions = Sessions(connection(), replace(SETTINGS, limits=LIMITS), messages=21)
    reply = sessions.send("not even JSON")
    assert reply is not None
    assert reply["code"] == "RATE_LIMITED"
    assert sessions.bans == [(f"ip/{IP}", NOW + 60_000)]
    assert sessions.api.closed == ["c1"]
    assert sessions.metrics.counts["AddressesBanned"] == 1


@pytest.mark.parametrize("limits", [replace(LIMITS, ban_seconds=0), replace(LIMITS, exempt_ips=("203.0.113.0/24",))])
def test_no_address_is_banned_if_bans_are_off_or_it_is_exempt(limits: Limits) -> None:
    sessions = Sessions(connection(), replace(SETTINGS, limits=limits), messages=21)
    sessions.send(PING)
    assert (sessions.bans, sessions.api.closed) == ([], ["c1"])


def test_messages_after_the_ban_are_dropped_and_the_connection_closed_again_at_intervals() -> None:
    sessions = Sessions(connection(), replace(SETTINGS, limits=LIMITS), messages=22)
    assert sessions.send(PING) is None
    assert sessions.metrics.counts == {"MessagesDropped": 1}
    sessions.messages = 31
    assert sessions.send(PING) is not None
    assert (sessions.api.closed, sessions.bans) == (["c1"], [])


def test_the_first_message_shows_the_dialect_of_a_connection_that_named_none() -> None:
    sessions = Sessions(connection(undecided=True))
    reply = sessions.send({"id": "p", "type": "ping", "timestamp": 1, "data": {}})
    assert reply is not None
    assert sessions.callers[0].dialect == "moonx"
    assert (sessions.dialects, sessions.moved) == (["moonx"], ["moonx"])


def test_a_dialect_that_another_message_has_set_is_not_counted_again() -> None:
    sessions = Sessions(connection(undecided=True))
    sessions.is_dialect_news = False
    sessions.send({"id": "p", "type": "ping", "timestamp": 1, "data": {}})
    assert (sessions.dialects, sessions.moved) == (["moonx"], [])


def test_the_dialect_of_a_connection_that_named_one_stays() -> None:
    sessions = Sessions(connection())
    sessions.send({"id": "p", "type": "ping", "timestamp": 1, "data": {}})
    assert sessions.dialects == []


@pytest.mark.parametrize(("seconds", "user"), [(SETTINGS.auth_grace + EXPIRY_DELAY_SECONDS, "ann"), (121, "")])
def test_a_token_whose_end_the_queue_has_missed_makes_the_connection_anonymous(seconds: int, user: str) -> None:
    sessions = Sessions(connection(user="ann", user_until=NOW // 1000, premium=True))
    sessions.now = NOW + seconds * 1000
    sessions.send(PING)
    (caller,) = sessions.callers
    assert (caller.user, caller.premium) == (user, bool(user))


def test_a_command_is_carried_out_again_for_the_identity_that_another_message_has_set() -> None:
    sessions = Sessions(connection())
    sessions.identity, sessions.fresh = 2, [connection(identity=1, user="ann"), connection(identity=2, user="bob")]
    assert sessions.send(PING) == {"type": "pong", "id": 7, "timestamp": NOW}
    assert [caller.user for caller in sessions.callers] == ["", "ann", "bob"]


@pytest.mark.parametrize(
    ("fresh", "code"), [([None], "NOT_CONNECTED"), ([connection(identity=n) for n in range(1, 6)], "RATE_LIMITED")]
)
def test_a_command_without_an_identity_to_decide_for_is_refused(fresh: list[Connection | None], code: str) -> None:
    sessions = Sessions(connection())
    sessions.identity, sessions.fresh = 9, fresh
    reply = sessions.send(PING)
    assert reply is not None
    assert (reply["code"], reply["id"]) == (code, 7)
