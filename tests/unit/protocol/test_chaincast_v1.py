from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import Code, RequestError
from chaincast.model.events import Event
from chaincast.model.topics import Topic
from chaincast.protocol.commands import (
    Authenticate,
    Authenticated,
    Command,
    Connected,
    GetHistory,
    GetPrice,
    GetStats,
    History,
    Outcome,
    Ping,
    Pong,
    Price,
    Stats,
    Subscribe,
    Subscribed,
    TokenSnapshot,
    Unsubscribe,
    Unsubscribed,
    User,
)
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.chaincast_v1.messages import _GET_TOPICS
from tests.factories import BLOCK_HASH, MARKET, TOKEN, make_event

V1 = registry.get("chaincast.v1", {})
MAX_BYTES = 10_000
MAX_TOPICS = 5


def decode(message: object) -> Command:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return V1.decode(body, MAX_BYTES, MAX_TOPICS)


def reply(outcome: Outcome) -> object:
    return json.loads(*V1.outcome_messages(outcome, 0))


def topics(*texts: str) -> tuple[Topic, ...]:
    return tuple(Topic.parse(t) for t in texts)


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"type": "ping"}, Ping()),
        ({"type": "ping", "id": 4}, Ping(4)),
        ({"type": "authenticate", "id": 5, "token": "a.b.c"}, Authenticate("a.b.c", 5)),
        ({"type": "subscribe", "topics": ["trades:bsc:*"]}, Subscribe(topics("trades:bsc:*"))),
        (
            {"type": "subscribe", "id": "a", "topics": ["tokens:bsc", "TOKENS:bsc".lower(), "system"]},
            Subscribe(topics("tokens:bsc", "system"), request_id="a"),
        ),
        (
            {"type": "get", "what": "trades", "network": "BSC", "token": "0xAB", "id": 1},
            GetHistory("trades", topics("trades:bsc:0xab")[0], 20, request_id=1),
        ),
        (
            {"type": "get", "what": "history", "network": "bsc", "contract": "0xAB", "events": ["Paid"], "limit": 3},
            GetHistory("history", topics("contract:bsc:0xab")[0], 3, ("Paid",)),
        ),
        (
            {"type": "get", "what": "tokens", "network": "bsc", "before": "000000000007.000001.00"},
            GetHistory("tokens", topics("tokens:bsc")[0], 20, before="000000000007.000001.00"),
        ),
        (
            {"type": "get", "what": "alerts", "network": "BSC", "alert": "Rug", "limit": 7},
            GetHistory("alerts", topics("network:bsc")[0], 7, alert_type="rug"),
        ),
        ({"type": "get", "what": "price", "network": "bsc", "token": "0xAB"}, GetPrice("bsc", "0xab")),
        (
            {"type": "get", "what": "stats", "network": "bsc", "token": "0xAB", "id": 2},
            GetStats(topics("token:bsc:0xab")[0], 2),
        ),
        (
            {"type": "get", "what": "stats", "network": "bsc", "contract": "0xAB"},
            GetStats(topics("contract:bsc:0xab")[0]),
        ),
        (
            {"type": "subscribe", "topics": ["tokens:bsc"], "since": "000000000007"},
            Subscribe(topics("tokens:bsc"), since={"bsc": "000000000007"}),
        ),
        (
            {"type": "subscribe", "topics": ["tokens:*"], "since": {"bsc": "000000000007", "eth": "000000000001"}},
            Subscribe(topics("tokens:*"), since={"bsc": "000000000007", "eth": "000000000001"}),
        ),
        (
            {"type": "subscribe", "topics": ["tokens:bsc"], "cursors": True},
            Subscribe(topics("tokens:bsc"), with_cursors=True),
        ),
        (
            {"type": "subscribe", "topics": ["contract:bsc:*"], "kinds": ["trade", "token.created"]},
            Subscribe(topics("contract:bsc:*"), ("trade", "token.created")),
        ),
        ({"type": "unsubscribe", "id": 0, "topics": ["system"]}, Unsubscribe(topics("system"), 0)),
        ({"type": "ping", "unknown": "is ignored"}, Ping()),
    ],
)
def test_messages_become_commands(message: object, command: Command) -> None:
    assert decode(message) == command


SUB = {"type": "subscribe", "id": "r1"}


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ({"id": "r1"}, Code.BAD_MESSAGE, "type None must be one of subscribe, unsubscribe, ping"),
        ({"id": "r1", "type": 5}, Code.BAD_MESSAGE, "type 5"),
        ({"id": "r1", "type": ["subscribe"]}, Code.BAD_MESSAGE, "type ['subscribe']"),
        ({"id": "r1", "type": "$connect"}, Code.UNKNOWN_TYPE, "'$connect'"),
        (
            {"id": "r1", "type": "Subscribe"},
            Code.UNKNOWN_TYPE,
            "known: subscribe, unsubscribe, ping, authenticate, get",
        ),
        (SUB, Code.BAD_MESSAGE, "topics"),
        ({**SUB, "topics": []}, Code.BAD_MESSAGE, "topics is []"),
        ({**SUB, "topics": "system"}, Code.BAD_MESSAGE, "topics is 'system'"),
        ({**SUB, "topics": [1]}, Code.BAD_MESSAGE, "topics.0 is 1"),
        ({**SUB, "topics": {"a": 1}}, Code.BAD_MESSAGE, "topics"),
        ({**SUB, "topics": ["nope:x"]}, Code.UNKNOWN_TOPIC, "'nope'"),
        ({**SUB, "topics": ["trades:bsc"]}, Code.BAD_TOPIC, "trades:{network}:{token}"),
        ({**SUB, "topics": ["x" * 5000]}, Code.BAD_MESSAGE, "at most 1024"),
        ({**SUB, "topics": ["system"] * 6}, Code.TOO_MANY_TOPICS, "6 topics in one message; at most 5"),
        ({**SUB, "topics": ["system"], "kinds": "trade"}, Code.BAD_MESSAGE, "kinds is 'trade'"),
        ({**SUB, "topics": ["system"], "kinds": ["Trade!"]}, Code.BAD_MESSAGE, "kinds.0 is 'Trade!'"),
        ({**SUB, "topics": ["system"], "kinds": ["a"] * 21}, Code.BAD_MESSAGE, "at most 20"),
        ({**SUB, "topics": ["system"], "since": 3}, Code.BAD_MESSAGE, "since"),
        ({**SUB, "topics": ["tokens:a"], "since": "7"}, Code.BAD_CURSOR, "12 digits"),
        ({**SUB, "topics": ["tokens:a"], "since": {"a": "x"}}, Code.BAD_CURSOR, "'x' of 'a'"),
        ({**SUB, "topics": ["tokens:*"], "since": "000000000001"}, Code.BAD_CURSOR, "not of one network"),
        ({**SUB, "topics": ["tokens:a", "tokens:b"], "since": "000000000001"}, Code.BAD_CURSOR, "not of one network"),
    ],
)
def test_an_error_carries_its_code_a_message_and_the_request_id(message: object, code: Code, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(message)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.request_id == "r1"
    assert reply(caught.value) == {"type": "error", "id": "r1", "code": code.value, "message": caught.value.message}


def test_an_error_carries_its_details() -> None:
    error = RequestError(Code.CURSOR_EXPIRED, "too old", 3, {"source": "bsc", "oldest": "000000000005"})
    assert reply(error) == {
        "type": "error",
        "id": 3,
        "code": "CURSOR_EXPIRED",
        "message": "too old",
        "source": "bsc",
        "oldest": "000000000005",
    }


@pytest.mark.parametrize("bad_id", [True, 1.5, [], {}, "x" * 129, 2**53])
def test_the_error_about_an_invalid_id_carries_no_id(bad_id: object) -> None:
    with pytest.raises(RequestError, match="id ") as caught:
        decode({"type": "ping", "id": bad_id})
    assert caught.value.code == Code.BAD_MESSAGE
    assert "id" not in json.loads(*V1.outcome_messages(caught.value, 0))


@pytest.mark.parametrize("body", [b"\xff", b"[[[[" * 20, b"{", b"x" * (MAX_BYTES + 1)])
def test_the_error_about_bytes_that_are_no_message_carries_no_id(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode(body)
    assert caught.value.request_id is None


def check_decoding(body: bytes) -> None:
    """Decode the bytes; if they are refused, encode the error."""
    refusal: RequestError | None = None
    try:
        decode(body)
    except RequestError as error:
        refusal = error
    if refusal is not None:
        reply = json.loads(*V1.outcome_messages(refusal, 0))
        assert (reply["code"], reply["message"]) == (refusal.code.value, refusal.message)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.dictionaries(st.sampled_from(["type", "id", "topics", "since", "x"]), json_values)
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["subscribe", "unsubscribe", "ping"])},
        optional={"id": json_values, "topics": st.lists(st.text()) | json_values, "since": json_values},
    )
    | st.fixed_dictionaries(
        {"type": st.just("get"), "what": st.sampled_from(sorted(_GET_TOPICS)), "network": st.text()},
        optional={
            name: st.text() | json_values for name in ("token", "contract", "alert", "limit", "events", "before", "id")
        },
    )
)
def test_any_json_is_a_command_or_an_error(message: dict[str, object]) -> None:
    check_decoding(json.dumps(message).encode())


@given(st.binary())
def test_any_bytes_are_a_command_or_an_error(body: bytes) -> None:
    check_decoding(body)


def test_outcomes_as_clients_read_them() -> None:
    t = topics("trades:bsc:*", "system")
    assert reply(Connected("abc=", ("bsc",))) == {
        "type": "connected",
        "connection_id": "abc=",
        "dialect": "chaincast.v1",
        "networks": ["bsc"],
    }
    cursors = {"bsc": "000000000042"}
    assert reply(Subscribed(t, 4, cursors=cursors)) == {
        "type": "subscribed",
        "id": 4,
        "topics": ["trades:bsc:*", "system"],
        "cursors": cursors,
    }
    assert reply(Subscribed(t, 3)) == {"type": "subscribed", "id": 3, "topics": ["trades:bsc:*", "system"]}
    assert reply(Unsubscribed(t)) == {"type": "unsubscribed", "topics": ["trades:bsc:*", "system"]}
    ann = {"id": "ann", "email": "ann@example.com"}
    authenticated = reply(Authenticated(User("ann", "ann@example.com"), 5))
    assert authenticated == {"type": "authenticated", "id": 5, "user": ann}
    assert reply(Authenticated(None)) == {"type": "authenticated", "user": None}
    assert reply(Pong(17, "p")) == {"type": "pong", "id": "p", "timestamp": 17}


def test_an_event_as_clients_read_it() -> None:
    message = json.loads(V1.events_message("anvil", "000000000009", "", [V1.event_fragment(make_event(3)) or b""]))
    assert message == {
        "type": "events",
        "source": "anvil",
        "cursor": "000000000009",
        "events": [
            {
                "id": f"anvil:7:{BLOCK_HASH[2:10]}:3",
                "kind": "trade",
                "timestamp": 1_700_000_007_000,
                "topics": [
                    f"trades:anvil:{TOKEN}",
                    f"token:anvil:{TOKEN}",
                    f"contract:anvil:{MARKET}",
                    "network:anvil",
                ],
                "data": {"side": "buy"},
                "block": 7,
                "tx_hash": "0x" + f"{3:064x}",
                "log_index": 3,
                "contract": MARKET,
                "token": TOKEN,
            }
        ],
    }


def test_history_has_the_same_events_as_live_messages() -> None:
    event = make_event(0)
    answer = reply(History("trades", (event, event), "000000000007.000001.00", "g"))
    assert answer == {
        "type": "history",
        "id": "g",
        "what": "trades",
        "before": "000000000007.000001.00",
        "events": [json.loads(V1.event_fragment(event) or b"")] * 2,
    }
    assert reply(History("tokens", (), None)) == {"type": "history", "what": "tokens", "before": None, "events": []}


def test_snapshots_prices_and_stats() -> None:
    event = make_event(0)
    encoded = json.loads(V1.event_fragment(event) or b"")
    t = topics("token:bsc:0xab")
    assert reply(Subscribed(t, None, {"token:bsc:0xab": TokenSnapshot(event, None)})) == {
        "type": "subscribed",
        "topics": ["token:bsc:0xab"],
        "now": {"token:bsc:0xab": {"price": encoded, "latest_trade": None}},
    }
    answer = {"type": "price", "id": 1, "network": "bsc", "token": "0xab"}
    assert reply(Price("bsc", "0xab", event, 1)) == {**answer, "event": encoded}
    assert reply(Price("bsc", "0xab", None, 1)) == {**answer, "event": None}
    assert reply(Stats(t[0], {"trades": 3})) == {
        "type": "stats",
        "network": "bsc",
        "token": "0xab",
        "stats": {"trades": 3},
    }


def test_a_published_event_has_no_fields_of_the_chain() -> None:
    event = Event(id="x", kind="price", timestamp=1, topics=("price:BTC",), data={"price": "1.5"})
    fields = json.loads(V1.event_fragment(event) or b"")
    assert set(fields) == {"id", "kind", "timestamp", "topics", "data"}


def test_retractions_as_clients_read_them() -> None:
    ids = [V1.retraction_fragment("a:1") or b"", V1.retraction_fragment('b"2') or b""]
    assert json.loads(V1.retractions_message("bsc", "000000000001", ids)) == {
        "type": "retracted",
        "source": "bsc",
        "cursor": "000000000001",
        "ids": ["a:1", 'b"2'],
    }


def test_overhead_and_separator_are_upper_bounds() -> None:
    fragments = [b"1" * 100] * 7
    for message in (
        V1.events_message("n" * 40, "9" * 12, "", fragments),
        V1.retractions_message("n" * 40, "9" * 12, fragments),
    ):
        assert len(message) <= V1.overhead + sum(len(f) + V1.separator for f in fragments)


def test_the_registry_knows_its_names() -> None:
    assert registry.DEFAULT in registry.NAMES
    assert [registry.get(name, {}).name for name in registry.NAMES] == list(registry.NAMES)
    with pytest.raises(RequestError, match="unknown dialect"):
        registry.get("nope", {})
