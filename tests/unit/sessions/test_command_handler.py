from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import pytest

from chaincast.config.function_settings import Settings
from chaincast.errors import Code, ProtocolViolation, RequestError
from chaincast.model.events import Event
from chaincast.model.holds import PlannedReplay
from chaincast.model.topics import ANY, OWN, Topic
from chaincast.protocol.commands import (
    Authenticate,
    Authenticated,
    Caller,
    CloseConnection,
    Command,
    ConnectionClosing,
    GetHistory,
    History,
    Join,
    Joined,
    KeepAlive,
    Leave,
    NoReply,
    Ping,
    Pong,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    UnsubscribeFamilies,
    User,
)
from chaincast.replay.start import Resumption
from chaincast.sessions.command_handler import CommandHandler
from chaincast.sessions.connection_store import IdentityChanged

SETTINGS = Settings(
    networks=("anvil", "bsc"),
    shards=1,
    max_message_bytes=32768,
    message_bytes=32768,
    topics_per_message=50,
    subscriptions_per_connection=3,
)


TOPICS = ("price:*", "prices:*:*", "tokens:*", "user:ann", "user:bob")


class Recorder:
    """Records calls; refuses topics beyond the limit, as the store in DynamoDB does."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, tuple[str, ...]]] = []
        self.identity = 0

    def add(
        self,
        connection_id: str,
        dialect: str,
        topics: Sequence[str],
        kinds: Collection[str],
        limit: int,
        now_ms: int,
        *,
        identity: int = 0,
        replays: Sequence[PlannedReplay] = (),
        per_hour: int = 0,
    ) -> None:
        if len(topics) > limit:
            raise RequestError(Code.MAX_SUBSCRIPTIONS, "too many")
        if identity != self.identity:
            raise IdentityChanged
        self.calls.append(("add", connection_id, (*topics, *kinds, *(replay.key.source for replay in replays))))

    def remove(self, connection_id: str, topics: Collection[str]) -> None:
        self.calls.append(("remove", connection_id, tuple(topics)))

    def remove_matching(self, connection_id: str, matches: Callable[[str], bool]) -> Sequence[str]:
        removed = tuple(filter(matches, TOPICS))
        if removed:
            self.calls.append(("remove", connection_id, removed))
        return removed

    def set_identity(
        self,
        caller: Caller,
        now_ms: int,
        remove: Callable[[str], bool],
        *,
        user: User | None = None,
        joined: bool | None = None,
    ) -> None:
        removed = filter(remove, TOPICS)
        self.calls.append(("set_identity", caller.connection_id, (str(user and user.id), str(joined), *removed)))

    def authenticate(self, token: str) -> User | None:
        if token != "good":
            raise RequestError(Code.AUTH_FAILED, "bad token")
        return User("ann", "ann@example.com")

    def check(self, since: Mapping[str, str]) -> None:
        if since.get("bsc") == "000000000001":
            raise RequestError(Code.CURSOR_EXPIRED, "too old", details={"source": "bsc", "oldest": "000000000005"})

    def plan(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> Sequence[PlannedReplay]:
        resumption = Resumption(None, int, lambda job: None, 1)  # type: ignore[arg-type]  # a plan reads no log
        return resumption.plan(connection_id, dialect, since, now_ms)

    def newest_cursors(self, sources: Iterable[str]) -> dict[str, str]:
        self.calls.append(("newest_cursors", "", tuple(sources)))
        return dict.fromkeys(sources, "000000000042")

    def newest(
        self, topic: str, limit: int, names: Collection[str], before: str | None
    ) -> tuple[list[Event], str | None]:
        self.calls.append(("newest", topic, (str(limit), *names, before or "")))
        return [], "000000000001.000000.00"


CALLER = Caller("c1", "chaincast.v1")
ANN = replace(CALLER, user="ann")


def make_handler(store: Recorder, settings: Settings = SETTINGS) -> CommandHandler:
    return CommandHandler(store, store, store, store, store, settings)


def topics(*texts: str) -> tuple[Topic, ...]:
    return tuple(Topic.parse(t) for t in texts)


def test_a_subscription_is_stored_under_canonical_topics_and_confirmed() -> None:
    store = Recorder()
    command = Subscribe(topics("trades:ANVIL:0xAB", "price:BTC"), request_id=7)
    assert make_handler(store).handle(command, CALLER, 0) == Subscribed(command.topics, 7)
    assert store.calls == [("add", "c1", ("trades:anvil:0xab", "price:BTC"))]


def test_kinds_go_with_the_topics() -> None:
    store = Recorder()
    make_handler(store).handle(Subscribe(topics("system"), ("trade",)), CALLER, 0)
    assert store.calls == [("add", "c1", ("system", "trade"))]


def test_a_replay_begins_with_the_topics() -> None:
    store = Recorder()
    command = Subscribe(topics("system"), since={"bsc": "000000000009"})
    assert make_handler(store).handle(command, CALLER, 0) == Subscribed(command.topics)
    assert store.calls == [("add", "c1", ("system", "bsc"))]


def test_what_was_decided_for_another_identity_is_not_stored() -> None:
    store = Recorder()
    store.identity = 1
    with pytest.raises(IdentityChanged):
        make_handler(store).handle(Subscribe(topics("system")), CALLER, 0)
    make_handler(store).handle(Subscribe(topics("system")), replace(CALLER, identity=1), 0)
    assert store.calls == [("add", "c1", ("system",))]


@pytest.mark.parametrize(
    ("texts", "sources"),
    [
        (("trades:bsc:*", "tokens:BSC"), ("bsc",)),
        (("trades:bsc:*", "network:anvil"), ("bsc", "anvil")),
        (("tokens:*",), SETTINGS.sources),
        (("trades:bsc:*", "price:BTC"), SETTINGS.sources),
    ],
)
def test_cursors_are_read_before_the_topics_are_live(texts: tuple[str, ...], sources: tuple[str, ...]) -> None:
    store = Recorder()
    outcome = make_handler(store).handle(Subscribe(topics(*texts), with_cursors=True), CALLER, 0)
    assert isinstance(outcome, Subscribed)
    assert set(outcome.cursors.items()) == {(source, "000000000042") for source in sources}
    assert [call[0] for call in store.calls] == ["newest_cursors", "add"]
    assert sorted(store.calls[0][2]) == sorted(sources)


def test_the_cursor_of_a_replayed_source_is_where_the_replay_begins() -> None:
    store = Recorder()
    command = Subscribe(topics("trades:bsc:*", "network:anvil"), since={"bsc": "000000000009"}, with_cursors=True)
    outcome = make_handler(store).handle(command, CALLER, 0)
    assert isinstance(outcome, Subscribed)
    assert outcome.cursors == {"bsc": "000000000009", "anvil": "000000000042"}


def test_an_error_keeps_its_details() -> None:
    store = Recorder()
    outcome = make_handler(store).handle(Subscribe(topics("system"), since={"bsc": "000000000001"}), CALLER, 0)
    assert isinstance(outcome, RequestError)
    assert outcome.details == {"source": "bsc", "oldest": "000000000005"}


def test_unsubscribing_and_pinging() -> None:
    store = Recorder()
    command = Unsubscribe(topics("system"), request_id="a")
    assert make_handler(store).handle(command, CALLER, 0) == Unsubscribed(command.topics, "a")
    assert make_handler(store).handle(Ping("p"), CALLER, 123) == Pong(123, "p")
    assert store.calls == [("remove", "c1", ("system",))]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Subscribe(topics("tokens:unknown"), request_id=1), Code.UNKNOWN_NETWORK),
        (Subscribe(topics("system", "user:ann"), request_id=1), Code.PRIVATE_TOPIC),
        (Subscribe(topics("system"), since={"bsc": "000000000001"}, request_id=1), Code.CURSOR_EXPIRED),
        (Subscribe(topics("system"), since={"eth": "000000000009"}, request_id=1), Code.UNKNOWN_NETWORK),
        (Subscribe(topics("system"), since={"*": "000000000009"}, request_id=1), Code.UNKNOWN_NETWORK),
        (Subscribe(topics("price:A", "price:B", "price:C", "price:D"), request_id=1), Code.MAX_SUBSCRIPTIONS),
    ],
)
def test_a_refused_command_changes_nothing(command: Subscribe, code: Code) -> None:
    store = Recorder()
    outcome = make_handler(store).handle(command, CALLER, 0)
    assert isinstance(outcome, RequestError)
    assert (outcome.code, outcome.request_id) == (code, 1)
    assert store.calls == []


def test_the_error_about_an_unknown_network_lists_the_known_ones() -> None:
    outcome = make_handler(Recorder()).handle(Subscribe(topics("trades:eth:*")), CALLER, 0)
    assert isinstance(outcome, RequestError)
    assert "'eth'" in outcome.message
    assert "anvil, bsc" in outcome.message


def test_settings_come_back_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAINCAST_SETTINGS", SETTINGS.to_json())
    assert Settings.from_environment() == SETTINGS


def test_history_is_read_by_topic_and_only_for_known_networks() -> None:
    store = Recorder()
    (topic,) = topics("trades:bsc:0xAB")
    command = GetHistory("trades", topic, 20, ("Sold",), "000000000009.000000.00", request_id=4)
    assert make_handler(store).handle(command, CALLER, 0) == History("trades", (), "000000000001.000000.00", 4)
    assert store.calls == [("newest", "trades:bsc:0xab", ("20", "Sold", "000000000009.000000.00"))]
    (elsewhere,) = topics("trades:eth:0xab")
    refused = make_handler(store).handle(GetHistory("trades", elsewhere, 20), CALLER, 0)
    assert isinstance(refused, RequestError)
    assert refused.code == Code.UNKNOWN_NETWORK


def test_a_token_gives_a_connection_its_user() -> None:
    store = Recorder()
    ann = User("ann", "ann@example.com")
    assert make_handler(store).handle(Authenticate("good", 1), CALLER, 0) == Authenticated(ann, 1)
    assert store.calls == [("set_identity", "c1", ("ann", "None", "user:bob"))]
    refused = make_handler(store).handle(Authenticate("bad", 2), CALLER, 0)
    assert isinstance(refused, RequestError)
    assert (refused.code, refused.request_id) == (Code.AUTH_FAILED, 2)
    assert len(store.calls) == 1


def test_private_topics_of_the_previous_user_are_removed() -> None:
    store = Recorder()
    make_handler(store).handle(Authenticate("good"), replace(CALLER, user="bob"), 0)
    assert store.calls == [("set_identity", "c1", ("ann", "None", "user:bob"))]
    store.calls.clear()
    make_handler(store, replace(SETTINGS, premium_topics=("tokens",))).handle(Authenticate("good"), ANN, 0)
    assert store.calls == [("set_identity", "c1", ("ann", "None", "tokens:*", "user:bob"))]


def test_own_topics_name_the_user_of_the_connection() -> None:
    store = Recorder()
    command = Subscribe((Topic("orders", OWN), Topic("price", "BTC")))
    outcome = make_handler(store).handle(command, ANN, 0)
    assert isinstance(outcome, Subscribed)
    assert store.calls == [("add", "c1", ("orders:ann", "price:BTC"))]
    refused = make_handler(store).handle(command, CALLER, 0)
    assert isinstance(refused, RequestError)
    assert refused.code == Code.AUTH_REQUIRED
    assert len(store.calls) == 1


def test_own_topics_replace_the_topics_if_the_caller_has_a_user() -> None:
    store = Recorder()
    command = Subscribe((Topic("trade", ANY),), ("trade",), own_topics=(Topic("user", OWN),))
    make_handler(store).handle(command, CALLER, 0)
    make_handler(store).handle(command, ANN, 0)
    assert [call[2] for call in store.calls] == [("trade:*", "trade"), ("user:ann", "trade")]


def test_unsubscribing_from_families_removes_all_their_topics_and_no_others() -> None:
    store = Recorder()
    outcome = make_handler(store).handle(UnsubscribeFamilies(frozenset({"price", "prices"}), 5), CALLER, 0)
    assert outcome == Unsubscribed(topics("price:*", "prices:*:*"), 5)
    assert store.calls == [("remove", "c1", ("price:*", "prices:*:*"))]
    assert make_handler(store).handle(UnsubscribeFamilies(frozenset({"alerts"})), CALLER, 0) == Unsubscribed(())
    assert len(store.calls) == 1


def test_a_subscription_without_topics_is_confirmed_and_not_stored() -> None:
    store = Recorder()
    assert make_handler(store).handle(Subscribe((), request_id=1), CALLER, 0) == Subscribed((), 1)
    assert store.calls == []


def test_a_vocabulary_goes_into_the_rows_dialect() -> None:
    dialects: list[str] = []

    class Rows(Recorder):
        def add(self, connection_id: str, dialect: str, *rest: object, **more: object) -> None:
            dialects.append(dialect)

    caller = Caller("c1", "socketio", joined=True)
    make_handler(Rows()).handle(Subscribe(topics("network:bsc"), vocabulary="kaspump"), caller, 0)
    make_handler(Rows()).handle(Subscribe(topics("network:bsc")), caller, 0)
    assert dialects == ["socketio/kaspump", "socketio"]


@pytest.mark.parametrize(
    ("command", "joined", "violates"),
    [
        (Join("", 1), False, False),
        (Join("", 1), True, True),
        (Subscribe((), request_id=1), False, True),
        (Subscribe((), request_id=1), True, False),
        (Leave(1), False, True),
        (Ping(1), False, False),
        (KeepAlive(1), False, False),
        (CloseConnection(1), False, False),
        (Subscribe((), request_id=1), None, False),
    ],
)
def test_joining_comes_first_and_once(command: Command, joined: bool | None, violates: bool) -> None:
    outcome = make_handler(Recorder()).handle(command, replace(CALLER, joined=joined), 0)
    assert isinstance(outcome, ProtocolViolation) == violates


def test_joining_leaving_and_closing() -> None:
    store = Recorder()
    fresh, joined = replace(CALLER, joined=False), replace(CALLER, joined=True)
    assert make_handler(store).handle(Join("good", 1), fresh, 0) == Joined("c1", User("ann", "ann@example.com"), 1)
    assert make_handler(store).handle(Join("", 2), fresh, 0) == Joined("c1", None, 2)
    assert make_handler(store).handle(Leave(3), joined, 0) == NoReply(3)
    assert make_handler(store).handle(CloseConnection(4), joined, 0) == ConnectionClosing(4)
    assert store.calls == [
        ("set_identity", "c1", ("ann", "True", "user:bob")),
        ("set_identity", "c1", ("None", "True")),
        ("set_identity", "c1", ("None", "False", *TOPICS)),
    ]
    known = replace(ANN, joined=False)
    assert make_handler(store).handle(Join("", 5), known, 0) == Joined("c1", User("ann"), 5), (
        "authenticated in the handshake"
    )


@pytest.mark.parametrize(
    ("command", "caller", "allowed"),
    [
        (Subscribe((), request_id=1), CALLER, False),
        (Subscribe((), request_id=1), ANN, True),
        (GetHistory("tokens", Topic("tokens", "bsc"), 1, request_id=1), CALLER, False),
        (Ping(1), CALLER, True),
        (Authenticate("good", 1), CALLER, True),
        (Join("", 1), replace(CALLER, joined=False), False),
        (Join("good", 1), replace(CALLER, joined=False), True),
    ],
)
def test_commands_that_require_a_user_are_refused_without_one(command: Command, caller: Caller, allowed: bool) -> None:
    outcome = make_handler(Recorder(), replace(SETTINGS, auth="required")).handle(command, caller, 0)
    assert (isinstance(outcome, RequestError) and outcome.code == Code.AUTH_REQUIRED) != allowed
