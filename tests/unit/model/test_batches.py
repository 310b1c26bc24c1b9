from __future__ import annotations

import zlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import CodecError
from chaincast.model.batches import Batch, Retraction, decode_batch, encode_batch, split_batch
from chaincast.model.events import Event
from tests.factories import make_batch, make_event

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
events = st.builds(
    Event,
    id=st.text(min_size=1, max_size=20),
    kind=st.sampled_from(["trade", "price", "team.own"]),
    timestamp=st.integers(0, 2**45),
    topics=st.lists(st.text(max_size=10), max_size=3).map(tuple),
    data=st.dictionaries(st.text(max_size=5), json_values, max_size=4),
    block=st.none() | st.integers(0, 2**40),
    log_index=st.none() | st.integers(0, 10**5),
    n=st.integers(0, 99),
)
batches = st.builds(
    Batch,
    source=st.sampled_from(["bsc", "app-3"]),
    seq=st.integers(0, 10**12 - 1),
    timestamp=st.integers(0, 2**45),
    events=st.lists(events, max_size=8).map(tuple),
    retracted=st.lists(
        st.builds(Retraction, st.text(max_size=8), st.lists(st.text(max_size=8), max_size=2).map(tuple)), max_size=4
    ).map(tuple),
)


@given(batches)
def test_what_is_encoded_comes_back(batch: Batch) -> None:
    assert decode_batch(encode_batch(batch)) == batch


@given(batches)
def test_equal_batches_have_equal_bytes(batch: Batch) -> None:
    assert encode_batch(batch) == encode_batch(decode_batch(encode_batch(batch)))


@given(batches, st.integers(1, 600))
def test_parts_hold_everything_once_in_order_and_under_the_limit(batch: Batch, limit: int) -> None:
    parts = split_batch(batch, limit)
    assert [e for p in parts for e in p.events] == list(batch.events)
    assert [r for p in parts for r in p.retracted] == list(batch.retracted)
    assert [p.part for p in parts] == list(range(len(parts)))
    assert {p.parts for p in parts} == {len(parts)}
    for part in parts:
        items = [*part.retracted, *part.events]
        assert len(items) <= 1 or sum(len(orjson.dumps(i)) + 1 for i in items) <= limit


def test_parts_sort_behind_their_cursor_and_before_the_next() -> None:
    parts = split_batch(make_batch(*(make_event(i) for i in range(9)), seq=41), 900)
    keys = [p.sort_key for p in parts]
    assert len(parts) > 2
    assert keys == sorted(keys)
    assert keys[0] == "000000000041"
    assert keys[-1] < make_batch(seq=42).sort_key


def test_only_the_last_part_lets_a_client_resume_behind_the_batch() -> None:
    parts = split_batch(make_batch(*(make_event(i) for i in range(9)), seq=41), 900)
    assert [p.resume_cursor for p in parts[:-1]] == ["000000000040"] * (len(parts) - 1)
    assert parts[-1].resume_cursor == "000000000041"


def damaged(**changes: object) -> bytes:
    document = orjson.loads(zlib.decompress(encode_batch(make_batch(make_event()))))
    return zlib.compress(orjson.dumps({**document, **changes}))


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", zlib.compress(b"[]"), zlib.compress(b"{}"), damaged(v=2), damaged(events=[{}]), damaged(x=1)],
)
def test_what_this_version_did_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode_batch(data)


@given(st.binary(max_size=60))
def test_damage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode_batch(data)
