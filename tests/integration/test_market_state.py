"""Tests of the market's state in the State table, on moto, and of a listener whose market continues after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chaincast.aws import environment
from chaincast.errors import CodecError
from chaincast.eventlog.market_store import Entry, MarketState
from listener.market.codec import decode_head, decode_token
from listener.market.settings import MarketSettings
from listener.market.store import MarketStore
from tests.integration.helpers import items

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture
def state(database: DynamoDBClient) -> MarketState:
    return MarketState(database, environment.STATE.lower(), "anvil")


def test_what_is_kept_is_found_and_an_older_state_does_not_replace_it(state: MarketState) -> None:
    state.put([Entry("token/0xa", 7, b"seven"), Entry("slot/0xa/3", 7, b"chunk", expires_at=99)])
    state.put([Entry("token/0xa", 6, b"six"), Entry("token/0xb", 6, b"other")])
    assert state.get(["token/0xa", "token/0xb", "slot/0xa/3", "nothing"]) == {
        "token/0xa": b"seven",
        "token/0xb": b"other",
        "slot/0xa/3": b"chunk",
    }
    state.put([Entry("token/0xa", 7, b"again")])
    assert state.get(["token/0xa"]) == {"token/0xa": b"again"}
    assert [i["expires_at"]["N"] for i in items(environment.STATE) if "expires_at" in i] == ["99"]


def test_networks_do_not_see_each_other_and_many_are_spread(state: MarketState, database: DynamoDBClient) -> None:
    state.put([Entry(f"token/{number}", 1, b"x") for number in range(200)])
    assert len(state.get(f"token/{number}" for number in range(200))) == 200
    assert len({item["key"]["S"] for item in items(environment.STATE)}) == 16
    assert MarketState(database, environment.STATE.lower(), "base").get(["token/1"]) == {}


def test_a_market_begins_once(state: MarketState) -> None:
    store = MarketStore(state, "anvil", MarketSettings())
    assert store.load(5).base == 5
    assert store.load(9).base == 5, "what came since is to be read again"


@pytest.mark.parametrize("damaged", [b"", b"[]", b"{}", b'{"v":2}', b'{"v":1}', b'{"v":1,"block":"x","about":[]}'])
def test_damage_is_named(damaged: bytes) -> None:
    with pytest.raises(CodecError):
        decode_token(damaged, (5,))
    with pytest.raises(CodecError):
        decode_head(damaged)
