from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.metrics.counters import INFINITE, MAX_AGE, TOLERANCE, Pending, bucket, parse_series, series


def test_the_first_are_written_one_by_one_then_by_the_hundredth() -> None:
    pending, writes = Pending(), 0
    for number in range(1, 100_001):
        pending.add("MessagesIn", 1, 0.0)
        if due := pending.due(0.0):
            pending.written(due)
            writes += 1
        assert (number <= 100) == (writes == number) or number > 100
    assert writes < 900


def test_what_is_old_is_written_however_little_it_is() -> None:
    pending = Pending()
    pending.add("a", 1000, 0.0)
    pending.written(pending.due(0.0))
    pending.add("a", 1, 5.0)
    assert pending.due(5.0 + MAX_AGE - 0.1) == {}
    assert pending.due(5.0 + MAX_AGE) == {"a": 1}


def test_a_rare_series_takes_the_others_along() -> None:
    pending = Pending()
    pending.add("often", 1000, 0.0)
    pending.written(pending.due(0.0))
    pending.add("often", 3, 0.0)
    assert pending.due(0.0) == {}
    pending.add("seldom", 1, 0.0)
    assert pending.due(0.0) == {"often": 3, "seldom": 1}


def test_nothing_counted_is_nothing_to_write() -> None:
    pending = Pending()
    pending.add("a", 0, 0.0)
    assert pending.due(1e9) == {}


def test_what_could_not_be_written_is_due_again_with_what_came_meanwhile() -> None:
    pending = Pending()
    pending.add("a", 2, 0.0)
    assert pending.due(0.0) == {"a": 2}
    pending.add("a", 1, 0.0)
    pending.add("b", 1, 0.0)
    assert pending.due(0.0) == {"a": 3, "b": 1}
    pending.written({"a": 2})
    assert pending.due(0.0) == {"a": 1, "b": 1}


steps = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 500), st.floats(0, 30, allow_nan=False)), max_size=300
)


@given(steps, st.sets(st.integers(0, 300)))
def test_whenever_it_crashes_at_most_a_hundredth_is_lost_of_any_series(
    counted: list[tuple[str, int, float]], refused: set[int]
) -> None:
    """Unless a write is refused: then it is still pending, and goes with the next."""
    pending, truth, record, now = Pending(), Counter[str](), Counter[str](), 0.0
    for number, (key, value, passed) in enumerate(counted):
        now += passed
        pending.add(key, value, now)
        truth[key] += value
        due = pending.due(now)
        if due and number in refused:
            continue
        record.update(due)
        pending.written(due)
        for name, count in truth.items():
            assert 0 <= count - record[name] <= TOLERANCE * record[name]


@given(st.text(), st.dictionaries(st.sampled_from(["kind", "network", "code"]), st.text()))
def test_a_series_says_its_labels(name: str, labels: dict[str, str]) -> None:
    name = name.replace("|", "").replace("=", "")
    parsed_name, parsed = parse_series(series(name, labels))
    assert parsed_name == name
    assert parsed == {label: value.replace("|", "_").replace("=", "_") for label, value in labels.items()}


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0, "0.01"), (0.01, "0.01"), (0.0100001, "0.025"), (1, "1"), (60, "60"), (60.1, INFINITE), (1e9, INFINITE)],
)
def test_the_bucket_of_an_observation(seconds: float, bound: str) -> None:
    assert bucket(seconds) == bound
