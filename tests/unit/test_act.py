from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import pytest

from chaincast.act import Actor
from chaincast.commands import GetHistory, History, Ping, Pong, Subscribe, Subscribed, Unsubscribe, Unsubscribed
from chaincast.errors import ClientError, Code
from chaincast.events import Event
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

    def add(
        self,
        connection_id: str,
        dialect: str,
        topics: Sequence[str],
        kinds: Collection[str],
        limit: int,
        now_ms: int,
        before_rows: Callable[[], None] | None = None,
    ) -> None:
        if len(topics) > limit:
            raise ClientError(Code.MAX_SUBSCRIPTIONS, "too many")
        if before_rows is not None:
            before_rows()
        self.calls.append(("add", connection_id, (*topics, *kinds)))

    def remove(self, connection_id: str, topics: Sequence[str]) -> None:
        self.calls.append(("remove", connection_id, tuple(topics)))

    def check(self, since: Mapping[str, str]) -> None:
        if since.get("bsc") == "000000000001":
            raise ClientError(Code.CURSOR_EXPIRED, "too old", details={"source": "bsc", "oldest": "000000000005"})

    def begin(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> None:
        self.calls.append(("begin", connection_id, tuple(since.items())))  # type: ignore[arg-type]  # pairs for once

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]:
        self.calls.append(("newest", topic, (str(limit), *names, before or "")))
        return [], "000000000001.000000.00"


def topics(*texts: str) -> tuple[Topic, ...]:
    return tuple(Topic.parse(t) for t in texts)


def test_a_subscription_is_stored_under_canonical_topics_and_confirmed() -> None:
    store = Recorder()
    command = Subscribe(topics("trades:ANVIL:0xAB", "price:BTC"), request_id=7)
    assert Actor(store, store, store, SETTINGS).act(command, "c1", "chaincast.v1", 0) == Subscribed(command.topics, 7)
    assert store.calls == [("add", "c1", ("trades:anvil:0xab", "price:BTC"))]


def test_kinds_go_with_the_topics() -> None:
    store = Recorder()
    Actor(store, store, store, SETTINGS).act(Subscribe(topics("system"), ("trade",)), "c1", "chaincast.v1", 0)
    assert store.calls == [("add", "c1", ("system", "trade"))]


def test_a_resume_begins_when_its_topics_are_reserved_and_no_row_is_there() -> None:
    store = Recorder()
    command = Subscribe(topics("system"), since={"bsc": "000000000009"})
    assert Actor(store, store, store, SETTINGS).act(command, "c1", "chaincast.v1", 0) == Subscribed(command.topics)
    assert store.calls == [("begin", "c1", (("bsc", "000000000009"),)), ("add", "c1", ("system",))]


def test_an_error_keeps_what_a_program_needs_of_it() -> None:
    store = Recorder()
    outcome = Actor(store, store, store, SETTINGS).act(
        Subscribe(topics("system"), since={"bsc": "000000000001"}), "c1", "chaincast.v1", 0
    )
    assert isinstance(outcome, ClientError)
    assert outcome.details == {"source": "bsc", "oldest": "000000000005"}


def test_unsubscribing_and_pinging() -> None:
    store = Recorder()
    actor = Actor(store, store, store, SETTINGS)
    command = Unsubscribe(topics("system"), request_id="a")
    assert actor.act(command, "c1", "chaincast.v1", 0) == Unsubscribed(command.topics, "a")
    assert actor.act(Ping("p"), "c1", "chaincast.v1", 123) == Pong(123, "p")
    assert store.calls == [("remove", "c1", ("system",))]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Subscribe(topics("tokens:unknown"), request_id=1), Code.UNKNOWN_NETWORK),
        (Subscribe(topics("system", "user:ann"), request_id=1), Code.PRIVATE_TOPIC),
        (Subscribe(topics("system"), since={"bsc": "000000000001"}, request_id=1), Code.CURSOR_EXPIRED),
        (Subscribe(topics("system"), since={"eth": "000000000009"}, request_id=1), Code.UNKNOWN_NETWORK),
        (Subscribe(topics("price:A", "price:B", "price:C", "price:D"), request_id=1), Code.MAX_SUBSCRIPTIONS),
    ],
)
def test_what_is_not_allowed_is_answered_and_changes_nothing(command: Subscribe, code: Code) -> None:
    store = Recorder()
    outcome = Actor(store, store, store, SETTINGS).act(command, "c1", "chaincast.v1", 0)
    assert isinstance(outcome, ClientError)
    assert (outcome.code, outcome.request_id) == (code, 1)
    assert store.calls == []


def test_an_unknown_network_is_told_which_there_are() -> None:
    outcome = Actor(Recorder(), Recorder(), Recorder(), SETTINGS).act(
        Subscribe(topics("trades:eth:*")), "c", "chaincast.v1", 0
    )
    assert isinstance(outcome, ClientError)
    assert "'eth'" in outcome.message
    assert "anvil, bsc" in outcome.message


def test_settings_come_back_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINCAST_SETTINGS", SETTINGS.to_json())
    assert Settings.from_environment() == SETTINGS


def test_the_past_is_asked_for_by_topic_and_only_of_networks_that_there_are() -> None:
    store = Recorder()
    actor = Actor(store, store, store, SETTINGS)
    (topic,) = topics("trades:bsc:0xAB")
    command = GetHistory("trades", topic, 20, ("Sold",), "000000000009.000000.00", request_id=4)
    assert actor.act(command, "c1", "chaincast.v1", 0) == History("trades", (), "000000000001.000000.00", 4)
    assert store.calls == [("newest", "trades:bsc:0xab", ("20", "Sold", "000000000009.000000.00"))]
    (elsewhere,) = topics("trades:eth:0xab")
    refused = actor.act(GetHistory("trades", elsewhere, 20), "c1", "chaincast.v1", 0)
    assert isinstance(refused, ClientError)
    assert refused.code == Code.UNKNOWN_NETWORK
