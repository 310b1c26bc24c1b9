from __future__ import annotations

from collections.abc import Sequence

import pytest

from chaincast.act import Actor
from chaincast.commands import Ping, Pong, Subscribe, Subscribed, Unsubscribe, Unsubscribed
from chaincast.errors import ClientError, Code
from chaincast.settings import Settings
from chaincast.topics import Topic

SETTINGS = Settings(
    networks=("anvil", "bsc"),
    shards=1,
    delivery_bytes=32768,
    message_bytes=32768,
    topics_per_message=50,
    subscriptions_per_connection=3,
)


class Recorder:
    """Remembers what it was told; refuses beyond the limit, as the table's store does."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, tuple[str, ...]]] = []

    def add(self, connection_id: str, dialect: str, topics: Sequence[str], limit: int, now_ms: int) -> None:
        if len(topics) > limit:
            raise ClientError(Code.MAX_SUBSCRIPTIONS, "too many")
        self.calls.append(("add", connection_id, tuple(topics)))

    def remove(self, connection_id: str, topics: Sequence[str]) -> None:
        self.calls.append(("remove", connection_id, tuple(topics)))


def topics(*texts: str) -> tuple[Topic, ...]:
    return tuple(Topic.parse(t) for t in texts)


def test_a_subscription_is_stored_under_canonical_topics_and_confirmed() -> None:
    store = Recorder()
    command = Subscribe(topics("trades:ANVIL:0xAB", "price:BTC"), request_id=7)
    assert Actor(store, SETTINGS).act(command, "c1", "chaincast.v1", 0) == Subscribed(command.topics, 7)
    assert store.calls == [("add", "c1", ("trades:anvil:0xab", "price:BTC"))]


def test_unsubscribing_and_pinging() -> None:
    store = Recorder()
    actor = Actor(store, SETTINGS)
    command = Unsubscribe(topics("system"), request_id="a")
    assert actor.act(command, "c1", "chaincast.v1", 0) == Unsubscribed(command.topics, "a")
    assert actor.act(Ping("p"), "c1", "chaincast.v1", 123) == Pong(123, "p")
    assert store.calls == [("remove", "c1", ("system",))]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Subscribe(topics("tokens:unknown"), request_id=1), Code.UNKNOWN_NETWORK),
        (Subscribe(topics("system", "user:ann"), request_id=1), Code.PRIVATE_TOPIC),
        (Subscribe(topics("system"), since={"bsc": "000000000001"}, request_id=1), Code.RESUME_UNAVAILABLE),
        (Subscribe(topics("price:A", "price:B", "price:C", "price:D"), request_id=1), Code.MAX_SUBSCRIPTIONS),
    ],
)
def test_what_is_not_allowed_is_answered_and_changes_nothing(command: Subscribe, code: Code) -> None:
    store = Recorder()
    outcome = Actor(store, SETTINGS).act(command, "c1", "chaincast.v1", 0)
    assert isinstance(outcome, ClientError)
    assert (outcome.code, outcome.request_id) == (code, 1)
    assert store.calls == []


def test_an_unknown_network_is_told_which_there_are() -> None:
    outcome = Actor(Recorder(), SETTINGS).act(Subscribe(topics("trades:eth:*")), "c", "chaincast.v1", 0)
    assert isinstance(outcome, ClientError)
    assert "'eth'" in outcome.message
    assert "anvil, bsc" in outcome.message


def test_settings_come_back_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINCAST_SETTINGS", SETTINGS.to_json())
    assert Settings.from_environment() == SETTINGS
