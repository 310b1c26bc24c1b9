from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincast.aws.fast.pacing import DECREASE, FREE_AFTER, INCREASE, MIN_RATE, ROUND, Pace


def running_at(rate: float, seconds: float = 1.0) -> tuple[Pace, float]:
    """Return a pace that has measured this many posts per second, and the time."""
    pace, now = Pace(), 100.0
    pace.tick(now)
    pace.posts += int(rate * seconds)
    pace.tick(now + seconds)
    return pace, now + seconds


def granted(pace: Pace, now: float, seconds: float) -> int:
    """Return the number of posts in some seconds by a caller that waits as the pace requires."""
    count, end = 0, now + seconds
    while now < end:
        wait = pace.wait(now)
        count += wait == 0
        now += wait
    return count


def test_there_is_no_limit_before_the_first_429() -> None:
    pace, _ = running_at(5000)
    assert not pace.limited


def test_a_429_lowers_the_rate_below_what_it_was() -> None:
    pace, now = running_at(5000)
    pace.refused(now)
    assert pace.limited
    assert pace.rate == 5000 * (1 - DECREASE)
    assert 0.95 * 2500 <= granted(pace, now, 1.0) <= 1.1 * 2500


@pytest.mark.parametrize(("accepted", "share"), [(0, 1.0), (101, 0.5), (101 * 99, 0.01)])
def test_the_rate_falls_once_a_round_by_the_share_that_was_refused(accepted: int, share: float) -> None:
    pace, now = running_at(5000)
    for i in range(101):
        pace.refused(now + i * ROUND / 200)
    before = 5000 * (1 - DECREASE)
    assert pace.rate == before
    pace.posts += accepted
    pace.refused(now + ROUND)
    assert pace.rate == pytest.approx(before * (1 - DECREASE * share))


def test_the_rate_comes_back_bit_by_bit_and_then_there_is_no_limit() -> None:
    pace, now = running_at(1000)
    pace.refused(now)
    granted(pace, now, 5.0)
    assert pace.rate == pytest.approx(1000 * (1 - DECREASE) + 5 * INCREASE, rel=0.01)
    pace.wait(now + FREE_AFTER)
    assert not pace.limited


def test_however_many_429s_something_still_goes_out() -> None:
    pace, now = running_at(10)
    for i in range(100):
        pace.refused(now + i)
    assert pace.rate == MIN_RATE
    assert granted(pace, now + 100, 2.0) >= MIN_RATE


@given(st.lists(st.tuples(st.sampled_from(["wait", "refused", "tick", "post"]), st.floats(0, 2)), max_size=60))
def test_whatever_happens_waits_are_finite_and_rates_positive(steps: list[tuple[str, float]]) -> None:
    pace, now = Pace(), 0.0
    for step, elapsed in steps:
        now += elapsed
        match step:
            case "wait" if pace.limited:
                assert 0 <= pace.wait(now) <= 1 / MIN_RATE
            case "refused":
                pace.refused(now)
            case "tick":
                pace.tick(now)
            case "post":
                pace.posts += 1
        assert not pace.limited or pace.rate >= MIN_RATE


def test_callers_that_share_a_quota_settle_near_it_without_one_starving() -> None:
    """A gateway that grants 4,000 posts a second, and four processes that find their shares."""
    paces = [running_at(rate)[0] for rate in (8000, 4000, 2000, 1000)]
    now, posted = 101.0, [0] * 4
    for step in range(4000):  # 40 s in steps of 10 ms
        now += 0.01
        left = 40
        for i in range(4):
            pace = paces[(i + step) % 4]
            wanted = 80 if not pace.limited else sum(pace.wait(now) == 0 for _ in range(80))
            taken = min(wanted, left)
            left -= taken
            pace.posts += taken
            if step > 1000:
                posted[(i + step) % 4] += taken
            if wanted > taken:
                pace.refused(now)
            if step % 25 == 0:
                pace.tick(now)
    assert 0.75 < sum(posted) / (3000 * 40) <= 1
    assert min(posted) > 0.4 * max(posted)
