"""The simulation against cases whose answer can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.simulation import SAMPLES, Load, Simulation, Step, World, calibrated, forecast, quantiles

EXACT = World(
    before=Step(40),
    queue=Step(20),
    query=Step(5),
    page=0,
    plan=Step(1),
    posts_per_second=1000,
    post=Step(10),
)


def test_an_unhurried_chain_takes_the_sum_of_its_steps() -> None:
    found = Simulation(EXACT, Load(reached=100, blocks=1, seconds=20), 1).run().latencies
    assert len(found) == 20 * SAMPLES
    # 40 + 20 + 5 + 1, then a hundred posts in 100 ms, each 10 ms there and back.
    assert min(found) == pytest.approx(66 + 100 / SAMPLES + 10)
    assert max(found) == pytest.approx(66 + 100 + 10)


def test_shards_share_the_posts() -> None:
    one, four = (max(Simulation(EXACT, Load(400, 1, s, 20), 1).run().latencies) for s in (1, 4))
    assert one - four == pytest.approx(300)


def test_a_quota_is_everybodys() -> None:
    slow = replace(EXACT, quota=200)
    one, four = (max(Simulation(slow, Load(100, 0.5, s, 20), 1).run().latencies) for s in (1, 4))
    assert one == pytest.approx(four) == pytest.approx(66 + 500 + 10)


def test_who_is_late_takes_several_batches_at_once_and_does_not_fall_behind_for_good() -> None:
    busy = Simulation(EXACT, Load(reached=1500, blocks=1, seconds=60), 1).run()
    assert busy.merged > 0
    assert max(busy.latencies) < 10_000


def test_the_same_seed_is_the_same_run() -> None:
    world = replace(EXACT, queue=Step(20, 4))
    load = Load(reached=10, blocks=1, seconds=30)
    assert quantiles(world, load, 7) == quantiles(world, load, 7) != quantiles(world, load, 8)


def test_a_tail_is_what_one_in_a_hundred_takes() -> None:
    world = replace(EXACT, before=Step(0), query=Step(0), plan=Step(0), post=Step(0), queue=Step(100, 5))
    found = sorted(Simulation(world, Load(1, 1, seconds=5000), 1).run().latencies)
    assert found[len(found) // 2] == pytest.approx(100, rel=0.1)
    assert found[int(len(found) * 0.99)] == pytest.approx(500, rel=0.2)


def test_it_is_calibrated_by_what_the_steps_of_a_measurement_took() -> None:
    p50 = {"head": 1, "fetch": 2, "decode": 1, "history": 4, "log": 5, "send": 3, "queue": 12, "query": 6, "plan": 1}
    p50 |= {"post": 25, "last": 2}
    p99 = {name: 2 * value for name, value in p50.items()}
    world = calibrated({"steps_p50_ms": p50, "steps_p99_ms": p99}, 50)
    assert (world.before, world.queue) == (Step(16, 2.0), Step(12, 2.0))
    assert world.posts_per_second == 2000


def test_more_connections_are_slower_more_quota_and_shards_faster() -> None:
    rows = forecast()
    assert [row["connections"] for row in rows[::3]] == [10_000, 100_000, 1_000_000]
    for first, second, third in zip(rows[::3], rows[1::3], rows[2::3], strict=True):
        assert first["p50"] >= second["p50"] > third["p50"]
