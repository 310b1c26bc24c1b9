from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import CodecError
from chaincast.fanout.keys import message_group
from chaincast.fanout.messages import (
    AwaitDrained,
    DeliverBatch,
    FanoutMessage,
    ShardDrained,
    decode_message,
    encode_message,
)
from chaincast.model.sharding import PREVIOUS_COUNT_SECONDS, Resharding, ShardAssignment, ShardingState, decode_sharding
from tests.factories import make_batch, make_event

WORKER = ShardAssignment(4, 3, (1, 4))
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "work",
    [
        DeliverBatch(WORKER, make_batch(make_event(0), make_event(1))),
        ShardDrained(WORKER, "bsc", 17),
        AwaitDrained(WORKER, "bsc", 17, 1),
    ],
)
def test_work_comes_back_as_it_went(work: FanoutMessage) -> None:
    assert decode_message(encode_message(work)) == work


@pytest.mark.parametrize(
    "body",
    [
        "",
        "!",
        "[]",
        "{}",
        '{"shards":1,"shard":0,"readable":[1]}',
        '{"shards":1,"shard":0,"readable":[1],"deliver":"nonsense"}',
        '{"shards":1,"shard":0,"readable":[1],"deliver":"bm9uc2Vuc2U="}',
        '{"shards":1,"shard":0,"readable":[1],"open":{"source":"bsc"}}',
        "ü",
    ],
)
def test_a_message_that_is_no_work_is_refused(body: str) -> None:
    with pytest.raises(CodecError):
        decode_message(body)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda v: st.dictionaries(st.text(max_size=8), v)))
def test_whatever_json_it_is_the_answer_is_an_error_of_ours(document: object) -> None:
    with pytest.raises(CodecError):
        decode_message(json.dumps(document))


def test_a_group_is_a_source_and_a_shard() -> None:
    assert message_group("bsc", 3) == "bsc#3"


def test_another_number_of_shards_is_a_switch_that_remembers_the_former() -> None:
    changed = ShardingState(1).resharded(4, 9, NOW)
    assert changed == ShardingState(4, {1: int(NOW) + PREVIOUS_COUNT_SECONDS}, Resharding(1, 9))
    assert [w.shards for w in changed.assignments_for(9, NOW)] == [1]
    assert [w.row_shard_counts for w in changed.assignments_for(10, NOW)] == [(1, 4)] * 4
    assert changed.completed().assignments_for(9, NOW) == changed.assignments(NOW)


def test_the_same_number_of_shards_is_no_switch() -> None:
    assert ShardingState(4).resharded(4, 9, NOW) == ShardingState(4)


def test_a_former_number_is_read_until_its_connections_are_gone() -> None:
    sharding = ShardingState(1).resharded(4, 9, NOW).completed().resharded(8, 20, NOW + 60).completed()
    assert sharding.assignments(NOW + 60)[0].row_shard_counts == (1, 4, 8)
    assert sharding.assignments(NOW + PREVIOUS_COUNT_SECONDS + 30)[0].row_shard_counts == (4, 8)
    assert sharding.assignments(NOW + PREVIOUS_COUNT_SECONDS + 90)[0].row_shard_counts == (8,)
    back = sharding.resharded(1, 30, NOW + 120)
    assert back.previous == {4: int(NOW) + 60 + PREVIOUS_COUNT_SECONDS, 8: int(NOW) + 120 + PREVIOUS_COUNT_SECONDS}


@pytest.mark.parametrize(
    "sharding",
    [ShardingState(3), ShardingState(1).resharded(4, 9, NOW), ShardingState(1).resharded(4, 9, NOW).completed()],
)
def test_a_sharding_comes_back_as_it_went(sharding: ShardingState) -> None:
    assert decode_sharding(sharding.encode()) == sharding


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards":1,"former":{"x":1},"switch":null}'])
def test_what_is_no_sharding_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        decode_sharding(text)
