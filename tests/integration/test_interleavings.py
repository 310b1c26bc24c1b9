"""Every order of the AWS calls of two functions that concern one connection."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from itertools import combinations_with_replacement
from random import Random

import pytest

from tests.interleavings.__main__ import main
from tests.interleavings.explore import explore, replay, sample, shrink
from tests.interleavings.meetings import ACTORS, DELIVERIES, meeting
from tests.interleavings.planted import PLANTED
from tests.interleavings.planted_delivery import DELIVERY, STALLING, TAKING_OVER
from tests.interleavings.scheduler import Scheduler
from tests.interleavings.sessions import Sessions


@pytest.mark.parametrize("name", ACTORS)
def test_alone_each_function_succeeds(name: str) -> None:
    worlds: list[Sessions] = []

    def run(scheduler: Scheduler) -> Sequence[str]:
        world = Sessions(scheduler)
        worlds.append(world)
        world.connect(user="ann", premium=True)
        scheduler.run({name: ACTORS[name](world)})
        return world.problems()

    (finished,) = explore(run)
    assert not finished.problems, str(finished)
    assert [reply["type"] for reply in worlds[0].replies.values() if reply["type"] == "error"] == []


@pytest.mark.parametrize("subscribed", [False, True])
@pytest.mark.parametrize("pair", [*combinations_with_replacement(ACTORS, 2)], ids=" ∥ ".join)
def test_no_order_of_two_functions_breaks_a_promise(pair: Sequence[str], subscribed: bool) -> None:
    runs = 0
    for run in explore(meeting(pair, subscribed=subscribed)):
        runs += 1
        assert not run.problems, str(run)
    assert runs > 1


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found_within_two_thousand_runs(fault: str) -> None:
    dice = Random(1)
    with PLANTED[fault]():
        for _ in range(2_000):
            scenario = meeting([*dice.choices([*ACTORS], k=2)], subscribed=dice.random() < 0.5)
            run = sample(scenario, dice)
            if run.problems:
                assert replay(scenario, run.decisions).problems == run.problems
                shortest = shrink(scenario, run)
                assert shortest.problems
                assert sum(map(bool, shortest.decisions)) <= sum(map(bool, run.decisions))
                return
    pytest.fail(f"not found: {fault}")


@pytest.mark.parametrize("name", DELIVERIES)
def test_clients_lose_nothing_in_random_orders(name: str) -> None:
    dice = Random(7)
    for _ in range(100):
        run = sample(DELIVERIES[name], dice)
        assert not run.problems, str(run)


@pytest.mark.parametrize(
    ("scenario", "fault"),
    [
        *(("two-resumes", fault) for fault in DELIVERY),
        *(("stalling-client", fault) for fault in STALLING),
        *(("stalling-client-that-resumes", fault) for fault in TAKING_OVER),
    ],
)
def test_a_planted_fault_of_replay_or_fanout_is_found_within_two_thousand_runs(scenario: str, fault: str) -> None:
    dice = Random(1)
    with {**DELIVERY, **STALLING, **TAKING_OVER}[fault]():
        for _ in range(2_000):
            run = sample(DELIVERIES[scenario], dice)
            if run.problems:
                assert replay(DELIVERIES[scenario], run.decisions).problems == run.problems
                return
    pytest.fail(f"not found: {fault}")


def test_make_simulate_reports_its_runs_and_how_to_repeat_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["simulate", "--runs", "60"])  # of the day's seed
    assert main() == 0, capsys.readouterr().out
    assert re.fullmatch(r"seed \d+: 60 runs, \d+ steps, \d+ runs/s: none broken\n", capsys.readouterr().out)
    with PLANTED["rows stay when their topics are removed"]():
        monkeypatch.setattr(sys, "argv", ["simulate", "--seed", "1", "--runs", "2000"])
        assert main() == 1
        printed = capsys.readouterr().out
        command = printed.rpartition("repeat it: python -m tests.interleavings ")[2].split()
        monkeypatch.setattr(sys, "argv", ["simulate", *command])
        assert main() == 1
    assert "but the index item has" in printed
    assert printed.partition(" broken:\n")[2].startswith(capsys.readouterr().out.strip())
    monkeypatch.setattr(sys, "argv", ["simulate", *command])
    assert main() == 0, "without the fault"
