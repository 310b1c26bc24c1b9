from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.errors import CodecError
from chaincast.fanout.progress import DeliveredUpTo, DeliveryProgress, decode_progress
from chaincast.model.sharding import shard_of


def mark(through: int, upto: str | None, *missing: str, shards: int = 1, shard: int = 0) -> DeliveredUpTo:
    return DeliveredUpTo((through, 0), upto, frozenset(missing), shards, shard)


def test_without_marks_nobody_has_anything() -> None:
    assert DeliveryProgress().last_delivered("a") is None
    assert not DeliveryProgress()


def test_who_comes_before_the_end_has_it_unless_missing() -> None:
    progress = DeliveryProgress().after(mark(7, "m", "c"), (5, 0))
    assert {c: progress.last_delivered(c) for c in "acmn"} == {"a": (7, 0), "c": None, "m": (7, 0), "n": None}


def test_an_attempt_that_reached_everybody_misses_only_the_missing() -> None:
    progress = DeliveryProgress().after(mark(7, None, "c"), (5, 0))
    assert (progress.last_delivered("zzz"), progress.last_delivered("c")) == ((7, 0), None)


def test_a_later_attempt_says_more() -> None:
    progress = DeliveryProgress().after(mark(7, "m", "c"), (5, 0)).after(mark(6, None), (5, 0))
    assert (progress.last_delivered("c"), progress.last_delivered("a"), progress.last_delivered("z")) == (
        (6, 0),
        (7, 0),
        (6, 0),
    )


def test_marks_about_other_shards_connections_say_nothing() -> None:
    progress = DeliveryProgress((mark(7, None, shards=4, shard=1),))
    for i in range(40):
        assert (progress.last_delivered(f"L{i}=") is not None) == (shard_of(f"L{i}=", 4) == 1)


def test_marks_that_are_of_no_use_any_more_go() -> None:
    progress = DeliveryProgress()
    for seq in range(100):
        progress = progress.after(mark(seq, "m"), (seq - 3, 0))
    assert [m.last_delivered[0] for m in progress.attempts] == [96, 97, 98, 99]
    for seq in range(100):
        progress = progress.after(mark(100 + seq, "m"), (0, 0))
    assert len(progress.attempts) == 16


marks = st.builds(
    DeliveredUpTo,
    st.tuples(st.integers(0, 10**12), st.integers(0, 5)),
    st.none() | st.text(max_size=5),
    st.frozensets(st.text(max_size=5), max_size=3),
    st.integers(1, 8),
    st.integers(0, 7),
)


@given(st.lists(marks, max_size=4))
def test_progress_comes_back_as_it_went(made: list[DeliveredUpTo]) -> None:
    assert decode_progress(DeliveryProgress(tuple(made)).encode()) == DeliveryProgress(tuple(made))


@pytest.mark.parametrize("data", [b"", b"{}x", b"[1]", b'[{"through":1}]', b'[{"through":[1],"upto":null}]', b"1"])
def test_what_is_no_progress_is_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode_progress(data)
