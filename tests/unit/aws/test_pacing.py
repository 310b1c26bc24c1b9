from __future__ import annotations

from random import Random

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


def refuse(pace: Pace, now: float, connections: int) -> None:
    """Let a round pass in which some connections are refused, and none is accepted."""
    for _ in range(connections):
        pace.refused(now, first=True)
    pace.refused(now + ROUND, first=False)


def test_when_every_connection_is_refused_the_rate_falls_below_what_it_was() -> None:
    pace, now = running_at(5000)
    for number in range(600):
        pace.refused(now + number * ROUND / 500, first=True)
    assert pace.limited
    assert pace.rate == 5000 * (1 - DECREASE)
    assert 0.95 * 2500 <= granted(pace, now + ROUND, 1.0) <= 1.1 * 2500


@pytest.mark.parametrize(("accepted", "share"), [(0, 1.0), (100, 0.5), (100 * 9, 0.1)])
def test_the_rate_falls_once_a_round_by_the_share_that_was_refused(accepted: int, share: float) -> None:
    pace, now = running_at(5000)
    for number in range(100):
        pace.refused(now + number * ROUND / 200, first=True)
    assert pace.rate == 0.0, "the round is not over"
    pace.posts += accepted
    pace.recovered += accepted // 2
    pace.refused(now + ROUND, first=False)
    assert pace.limited
    assert pace.rate == pytest.approx(max(5000.0, accepted / ROUND) * (1 - DECREASE * share))


def test_while_there_is_a_limit_any_share_lowers_it() -> None:
    pace, now = running_at(5000)
    refuse(pace, now, 100)
    before = pace.rate
    for _ in range(10):
        pace.refused(now + 1, first=True)
    pace.posts += 990
    pace.refused(now + 1 + ROUND, first=False)
    assert pace.rate == pytest.approx(before * (1 - DECREASE * 0.01))


@pytest.mark.parametrize(
    ("clients", "others"),
    [(1, 0), (2, 0), (40, 0), (1, 1_000), (50, 2_000), (550, 9_450), (500, 1_500), (1_000, 1_000)],
)
def test_clients_that_do_not_read_slow_down_nobody(clients: int, others: int) -> None:
    pace, now = running_at(5000)
    for round_ in range(20):
        began = now + round_ * ROUND
        for number in range(clients):
            pace.refused(began + number * ROUND / 2_000, first=not round_)
        pace.posts += others
        pace.refused(began + ROUND, first=False)
    assert not pace.limited


@pytest.mark.parametrize("refused", [0.15, 0.3, 0.5, 0.7, 0.9, 0.99])
def test_a_quota_refuses_some_attempts_of_all_and_slows_down_the_posts(refused: float) -> None:
    """Each attempt is refused with this probability, and each connection tried until it succeeds."""
    pace, now = running_at(5000)
    dice, waiting = Random(1), 0
    for step in range(100):
        for number in range(100):
            again = number < waiting
            if dice.random() < refused:
                pace.refused(now + step * ROUND / 50, first=not again)
                waiting += not again
            else:
                pace.posts += 1
                pace.recovered += again
                waiting -= again
    assert pace.limited


def test_the_rate_comes_back_bit_by_bit_and_then_there_is_no_limit() -> None:
    pace, now = running_at(1000)
    refuse(pace, now - ROUND, 100)
    granted(pace, now, 5.0)
    assert pace.rate == pytest.approx(1000 * (1 - DECREASE) + 5 * INCREASE, rel=0.01)
    pace.wait(now + FREE_AFTER)
    assert not pace.limited


def test_however_many_429s_something_still_goes_out() -> None:
    pace, now = running_at(10)
    for i in range(10_000):
        pace.refused(now + i / 500, first=True)
    assert pace.rate == MIN_RATE
    assert granted(pace, now + 20, 2.0) >= MIN_RATE


@given(st.lists(st.tuples(st.sampled_from(["wait", "refused", "tick", "post"]), st.floats(0, 2)), max_size=60))
def test_whatever_happens_waits_are_finite_and_rates_positive(steps: list[tuple[str, float]]) -> None:
    pace, now = Pace(), 0.0
    for step, elapsed in steps:
        now += elapsed
        match step:
            case "wait" if pace.limited:
                assert 0 <= pace.wait(now) <= 1 / MIN_RATE
            case "refused":
                pace.refused(now, first=True)
            case "tick":
                pace.tick(now)
            case "post":
                pace.posts += 1
        assert not pace.limited or pace.rate >= MIN_RATE


def test_callers_that_share_a_quota_settle_near_it_without_one_starving() -> None:
    """A gateway that grants 4,000 posts a second, and four processes that find their shares."""
    paces = [running_at(rate)[0] for rate in (8000, 4000, 2000, 1000)]
    dice, now, posted = Random(1), 101.0, [0] * 4
    for step in range(4000):  # 40 s in steps of 10 ms
        now += 0.01
        wanted = [80 if not p.limited else sum(p.wait(now) == 0 for _ in range(80)) for p in paces]
        posts = [i for i, number in enumerate(wanted) for _ in range(number)]
        dice.shuffle(posts)
        for number, i in enumerate(posts):
            if number < 40:
                paces[i].posts += 1
                paces[i].recovered += 1
                posted[i] += step > 1000
            else:
                paces[i].refused(now, first=True)
        if step % 25 == 0:
            for pace in paces:
                pace.tick(now)
    assert 0.75 < sum(posted) / (3000 * 40) <= 1
    assert min(posted) > 0.4 * max(posted)
