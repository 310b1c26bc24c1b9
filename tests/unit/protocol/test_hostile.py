"""Property: any bytes of a client decode to a command or raise an error that the dialect can encode."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import ProtocolViolation, RequestError
from chaincast.model.events import Event, Json
from chaincast.protocol.dialects import registry
from tests.unit.protocol.sample_events import CHAINS, EVERYTHING

_words = st.sampled_from(
    [
        "subscribe",
        "unsubscribe",
        "ping",
        "authenticate",
        "get",
        "prices",
        "tokens",
        "trades",
        "alerts",
        "orders",
        "subscribe:token",
        "get:trades",
        "join_room",
        "getHistory",
        "price:A",
        "*",
        "user:#me",
    ]
)
_names = st.sampled_from(
    ["type", "channel", "params", "tokens", "types", "data", "id", "timestamp", "room", "contractId", "limit", "topics"]
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_names | st.text(), inner, max_size=4),
    max_leaves=12,
)
_objects = st.dictionaries(_names, _values, max_size=6)
_prefixes = st.sampled_from(
    ["", "4", "40", "41", "42", "43", "44", "45", "46", "2", "3", "42/x,", "4217", "451-", "451-9"]
)
_hostile = st.one_of(
    st.binary(max_size=200),
    _objects.map(lambda o: json.dumps(o).encode()),
    st.tuples(_prefixes, _values).map(lambda p: (p[0] + json.dumps(p[1])).encode()),
    st.tuples(_prefixes, _words, _objects).map(lambda p: (p[0] + json.dumps([p[1], p[2]])).encode()),
    st.tuples(_prefixes, st.text(max_size=40)).map(lambda p: (p[0] + p[1]).encode("utf-8", "surrogatepass")),
)


@pytest.mark.parametrize("name", registry.NAMES)
@given(body=_hostile)
def test_any_bytes_are_a_command_or_an_error_that_can_be_encoded(name: str, body: bytes) -> None:
    dialect = registry.get(name, CHAINS)
    refusal: RequestError | None = None
    try:
        hash(dialect.decode(body, 10_000, 5).request_id)
    except RequestError as error:
        refusal = error
    if refusal is not None:
        assert len(refusal.message) <= 2_000
        assert "Input should" not in refusal.message, "a validator's words"
        answers = dialect.outcome_messages(refusal, 0)
        assert bool(answers) != isinstance(refusal, ProtocolViolation)
        assert all(answer.decode() for answer in answers)


@pytest.mark.parametrize("event", EVERYTHING, ids=lambda event: event.kind)
@pytest.mark.parametrize("name", [*registry.NAMES, "socketio/kaspump", "socketio/adstack", "socketio/moonx-gateway"])
def test_every_event_is_encoded_as_json_or_not_at_all(name: str, event: Event) -> None:
    fragment = registry.get(name, CHAINS).event_fragment(event)
    if fragment is not None:
        json.loads(fragment.removeprefix(b"42"))


_data = st.dictionaries(
    st.sampled_from(
        ["symbol", "price", "amount", "side", "change", "volume", "quote", "token_amount", "price_usd", "args", "event"]
    ),
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
)
"""Data of an event with any JSON values."""


@pytest.mark.parametrize("name", [*registry.NAMES, "socketio/kaspump", "socketio/adstack", "socketio/moonx-gateway"])
@given(event=st.sampled_from(EVERYTHING), data=_data)
def test_an_event_of_any_data_breaks_no_encoder(name: str, event: Event, data: dict[str, Json]) -> None:
    registry.get(name, CHAINS).event_fragment(replace(event, data=data))
