"""Runs a scenario in every order of its calls, or in every order with few preemptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from tests.interleavings.scheduler import Endless, Option, Scheduler


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: its decisions, from which it can be repeated, and what is wrong with its result."""

    decisions: tuple[int, ...]
    problems: tuple[str, ...]
    timeline: str
    steps: int
    """Number of AWS calls."""

    def __str__(self) -> str:
        wrong = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"schedule {','.join(map(str, self.decisions))}:\n{wrong}\n{self.timeline}"


Scenario = Callable[[Scheduler], Sequence[str]]
"""Runs actors with the scheduler. Returns what is wrong with the result; empty if everything is as promised."""


def replay(scenario: Scenario, decisions: Sequence[int]) -> Run:
    """Run a scenario with these decisions. Further decisions are the first option: the actor goes on."""
    return _Exploration(scenario, None).run(list(decisions))


def explore(scenario: Scenario, preemptions: int | None = None, faults: int = 0) -> Iterator[Run]:
    """Yield the runs of a scenario in every order of its calls.

    `preemptions`: the maximum number of times that an actor which could go on has to wait; None for any number.
    `faults`: the maximum number of actors that end at a call.
    """
    exploration = _Exploration(scenario, preemptions, faults)
    pending: list[list[int]] = [[]]
    while pending:
        prefix = pending.pop()
        yield exploration.run(prefix)
        chosen, allowed = exploration.chosen, exploration.allowed
        for position in range(len(prefix), len(chosen)):
            pending += [[*chosen[:position], other] for other in allowed[position] if other != chosen[position]]


FAULT_ODDS = 0.05


def sample(scenario: Scenario, dice: Random) -> Run:
    """Run a scenario in a random order of its calls. Actors that may end at any call do so at one in twenty."""
    decisions: list[int] = []

    def decide(options: Sequence[Option]) -> int:
        faulty = dice.random() < FAULT_ODDS and any(option.fault for option in options)
        decisions.append(dice.choice([n for n, option in enumerate(options) if bool(option.fault) == faulty]))
        return decisions[-1]

    scheduler = Scheduler(decide)
    problems = _problems(scenario, scheduler)
    return Run(tuple(decisions), problems, scheduler.timeline(), len(scheduler.steps))


def shrink(scenario: Scenario, run: Run) -> Run:
    """Return a run with the same kind of result and as few switches between actors as can be found."""
    position = 0
    while position < len(run.decisions):
        for shorter in (run.decisions[:position], (*run.decisions[:position], 0, *run.decisions[position + 1 :])):
            other = replay(scenario, shorter) if shorter != run.decisions else run
            if other.problems and other.decisions != run.decisions and _switches(other) < _switches(run):
                run, position = other, -1
                break
        position += 1
    return run


def _switches(run: Run) -> int:
    return sum(1 for decision in run.decisions if decision)


def _problems(scenario: Scenario, scheduler: Scheduler) -> tuple[str, ...]:
    try:
        return tuple(scenario(scheduler))
    except Endless as error:
        return (str(error),)


class _Exploration:
    def __init__(self, scenario: Scenario, preemptions: int | None, faults: int = 0) -> None:
        self._scenario = scenario
        self._preemptions = preemptions
        self._faults = faults
        self.chosen: list[int] = []
        """The decisions of the last run."""
        self.allowed: list[list[int]] = []
        """The options that each decision had within the limits."""

    def run(self, prefix: list[int]) -> Run:
        """Run the scenario with decisions, and the first option after them."""
        self.chosen, self.allowed = [], []
        used = {"preemptions": 0, "faults": 0}

        def decide(options: Sequence[Option]) -> int:
            allowed = [number for number, option in enumerate(options) if self._within(option, used)]
            position = len(self.chosen)
            number = prefix[position] if position < len(prefix) else allowed[0]
            number = min(number, len(options) - 1)  # of a shortened schedule, which may have other options
            used["preemptions"] += options[number].preempts
            used["faults"] += bool(options[number].fault)
            self.chosen.append(number)
            self.allowed.append(allowed)
            return number

        scheduler = Scheduler(decide)
        problems = _problems(self._scenario, scheduler)
        return Run(tuple(self.chosen), problems, scheduler.timeline(), len(scheduler.steps))

    def _within(self, option: Option, used: dict[str, int]) -> bool:
        if option.fault and used["faults"] >= self._faults:
            return False
        return not option.preempts or self._preemptions is None or used["preemptions"] < self._preemptions
