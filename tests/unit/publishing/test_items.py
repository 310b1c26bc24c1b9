from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import Code, RequestError
from chaincast.model.schemas import BadSchema, Kinds, compiled
from chaincast.publishing.items import Accepted, Reader

NOW = 1_700_000_000_000
SCHEMA = {
    "type": "object",
    "required": ["score"],
    "properties": {"score": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}
READER = Reader(Kinds({"game.scored": SCHEMA}), 4)
PRICE = {"kind": "price", "symbol": "BTC-USDC", "data": {"price": 45000.5, "change": 2.5, "volume": "1234567.89"}}


def read(*items: object, key: str = "k") -> list[Accepted | RequestError]:
    return READER.read([(f"{key}/{place}", item) for place, item in enumerate(items)], NOW)


def accepted(item: object) -> Accepted:
    (found,) = read(item)
    assert isinstance(found, Accepted), found
    return found


@pytest.mark.parametrize(
    ("item", "topics"),
    [
        (PRICE, ("price:BTC-USDC",)),
        ({"kind": "order_book", "symbol": "E", "data": {"bids": [[1, "2.5"]], "asks": []}}, ("orderbook:E",)),
        ({"kind": "trade", "symbol": "E", "data": {"price": 1, "amount": 2, "side": "buy"}}, ("trade:E",)),
        ({"kind": "order", "userId": "u1", "data": {"status": "filled"}}, ("orders:u1", "user:u1")),
        ({"kind": "portfolio", "userId": "u1", "data": {"totalValue": 5}}, ("portfolio:u1", "user:u1")),
        ({"kind": "system.alert", "data": {"level": "info", "message": "hi"}}, ("system",)),
        ({"kind": "game.scored", "data": {"score": 3}}, ("events:game.scored:all",)),
        ({"kind": "game.scored", "symbol": "chess", "data": {"score": 3}}, ("events:game.scored:chess",)),
        ({"kind": "game.scored", "userId": "u1", "data": {"score": 3}}, ("user:u1",)),
    ],
)
def test_each_kind_goes_where_it_belongs(item: dict[str, Any], topics: tuple[str, ...]) -> None:
    (event,) = accepted(item).events
    assert (event.kind, event.topics, event.timestamp) == (item["kind"], topics, NOW)
    assert event.data == item["data"] | ({"symbol": item["symbol"]} if "symbol" in item else {})


def test_only_the_latest_price_and_book_of_a_symbol_matter() -> None:
    assert accepted(PRICE).events[0].conflation_key == "price BTC-USDC"
    trade = {"kind": "trade", "symbol": "E", "data": {"price": 1, "amount": 2, "side": "buy"}}
    assert accepted(trade).events[0].conflation_key is None


def test_a_users_trade_is_the_pairs_without_him_and_his_own() -> None:
    trade = {"kind": "trade", "symbol": "E", "userId": "u1", "data": {"price": 1, "amount": 2, "side": "sell"}}
    public, personal = accepted(trade).events
    assert (public.topics, personal.topics) == (("trade:E",), ("user:u1",))
    assert "u1" not in repr(public)
    assert personal.data == {**public.data, "personal": True}
    assert personal.id == f"{public.id}:1"


def test_metadata_goes_through_and_its_trace_is_named() -> None:
    metadata = {"priority": "high", "source": "pricer", "traceId": "t-1", "version": "2"}
    found = accepted({**PRICE, "metadata": metadata, "timestamp": NOW - 5})
    assert found.events[0].data["metadata"] == metadata
    assert found.events[0].timestamp == NOW - 5
    assert found.trace_id == "t-1"


def test_ids_follow_from_the_key_and_the_place() -> None:
    def ids(key: str) -> list[str]:
        return [item.events[0].id for item in read(PRICE, PRICE, key=key) if isinstance(item, Accepted)]

    assert ids("a") == ids("a")
    assert len({*ids("a"), *ids("b")}) == 4


def test_what_is_about_one_symbol_or_user_is_in_one_source() -> None:
    sources = {accepted({**PRICE, "symbol": f"S{i}"}).source for i in range(50)}
    assert sources == {"app-0", "app-1", "app-2", "app-3"}
    assert accepted(PRICE).source == READER.source_of("BTC-USDC")


@pytest.mark.parametrize(
    ("item", "code", "words"),
    [
        (5, Code.BAD_MESSAGE, "an item is an object, not 5"),
        ({}, Code.BAD_MESSAGE, "kind is missing: it is required"),
        ({**PRICE, "kind": "gossip"}, Code.UNKNOWN_TYPE, "unknown kind 'gossip'; known: price,"),
        ({**PRICE, "symbol": None}, Code.BAD_MESSAGE, "symbol is missing: of which symbol?"),
        ({**PRICE, "symbol": "a:b"}, Code.BAD_TOPIC, "malformed"),
        ({**PRICE, "symbol": "*"}, Code.BAD_TOPIC, "an event is about one"),
        ({**PRICE, "extra": 1}, Code.BAD_MESSAGE, "extra is not a known field"),
        ({**PRICE, "data": {"price": "cheap"}}, Code.BAD_MESSAGE, "data.price"),
        ({**PRICE, "data": {"price": float("nan")}}, Code.BAD_MESSAGE, "data.price"),
        ({**PRICE, "data": []}, Code.BAD_MESSAGE, "data is []"),
        ({**PRICE, "timestamp": NOW * 1000}, Code.BAD_MESSAGE, "in ms since 1970"),
        ({**PRICE, "metadata": {"priority": "urgent"}}, Code.BAD_MESSAGE, "metadata.priority is 'urgent'"),
        ({"kind": "order", "data": {"status": "new"}}, Code.BAD_MESSAGE, "userId is missing"),
        ({"kind": "order", "userId": "*", "data": {"status": "new"}}, Code.BAD_TOPIC, "userId is '*'"),
        ({"kind": "system.alert", "data": {"level": "info"}}, Code.BAD_MESSAGE, "data.message"),
        ({"kind": "game.scored", "data": {"score": -1}}, Code.BAD_MESSAGE, "score must be bigger than or equal to 0"),
        ({"kind": "game.scored", "data": {}}, Code.BAD_MESSAGE, "must contain ['score']"),
        ({**PRICE, "data": {"price": 1, "x": "y" * 100_001}}, Code.TOO_LARGE, "at most 100000"),
    ],
)
def test_what_is_wrong_is_said_of_each_item_by_itself(item: object, code: Code, words: str) -> None:
    before, error, after = read(PRICE, item, PRICE)
    assert isinstance(before, Accepted)
    assert isinstance(after, Accepted)
    assert isinstance(error, RequestError), error
    assert error.code == code
    assert words in error.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(
                ["price", "order_book", "trade", "order", "portfolio", "system.alert", "game.scored"]
            )
        },
        optional=dict.fromkeys(("symbol", "userId", "timestamp", "metadata"), json_values)
        | {"data": st.dictionaries(st.sampled_from(["price", "side", "bids", "score"]), json_values) | json_values},
    )
    | json_values
)
def test_nothing_does_more_than_be_refused(item: object) -> None:
    (found,) = read(item)
    assert isinstance(found, (Accepted, RequestError))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("nonsense", "is an object, not"),
        ({"type": "nonsense"}, "cannot be used"),
        ({"$ref": "https://elsewhere.example/schema.json"}, "cannot be used"),
        ({"$ref": "file:///etc/passwd"}, "cannot be used"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: object, words: str) -> None:
    with pytest.raises(BadSchema, match=words):
        compiled("game.scored", schema)
