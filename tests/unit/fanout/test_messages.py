from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import CodecError
from chaincast.fanout.messages import Close, Deliver, Open, Work, decode_work, encode_work, group_of
from chaincast.model.sharding import KEEP_SECONDS, Sharding, Switch, Worker, decode_sharding
from tests.factories import make_batch, make_event

WORKER = Worker(4, 3, (1, 4))
NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    "work",
    [
        Deliver(WORKER, make_batch(make_event(0), make_event(1))),
        Close(WORKER, "bsc", 17),
        Open(WORKER, "bsc", 17, 1),
    ],
)
def test_work_comes_back_as_it_went(work: Work) -> None:
    assert decode_work(encode_work(work)) == work


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
        decode_work(body)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda v: st.dictionaries(st.text(max_size=8), v)))
def test_whatever_json_it_is_the_answer_is_an_error_of_ours(document: object) -> None:
    with pytest.raises(CodecError):
        decode_work(json.dumps(document))


def test_a_group_is_a_source_and_a_shard() -> None:
    assert group_of("bsc", 3) == "bsc#3"


def test_another_number_of_shards_is_a_switch_that_remembers_the_former() -> None:
    changed = Sharding(1).changed(4, 9, NOW)
    assert changed == Sharding(4, {1: int(NOW) + KEEP_SECONDS}, Switch(1, 9))
    assert [w.shards for w in changed.workers_for(9, NOW)] == [1]
    assert [w.readable for w in changed.workers_for(10, NOW)] == [(1, 4)] * 4
    assert changed.switched().workers_for(9, NOW) == changed.workers(NOW)


def test_the_same_number_of_shards_is_no_switch() -> None:
    assert Sharding(4).changed(4, 9, NOW) == Sharding(4)


def test_a_former_number_is_read_until_its_connections_are_gone() -> None:
    sharding = Sharding(1).changed(4, 9, NOW).switched().changed(8, 20, NOW + 60).switched()
    assert sharding.workers(NOW + 60)[0].readable == (1, 4, 8)
    assert sharding.workers(NOW + KEEP_SECONDS + 30)[0].readable == (4, 8)
    assert sharding.workers(NOW + KEEP_SECONDS + 90)[0].readable == (8,)
    back = sharding.changed(1, 30, NOW + 120)
    assert back.former == {4: int(NOW) + 60 + KEEP_SECONDS, 8: int(NOW) + 120 + KEEP_SECONDS}


@pytest.mark.parametrize(
    "sharding", [Sharding(3), Sharding(1).changed(4, 9, NOW), Sharding(1).changed(4, 9, NOW).switched()]
)
def test_a_sharding_comes_back_as_it_went(sharding: Sharding) -> None:
    assert decode_sharding(sharding.encode()) == sharding


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"shards":1,"former":{"x":1},"switch":null}'])
def test_what_is_no_sharding_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        decode_sharding(text)
