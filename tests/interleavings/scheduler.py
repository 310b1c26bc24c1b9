"""Runs actors one at a time, and decides at each of their AWS calls which one goes on.

An actor is a function that runs the product's own code in a thread. Only one thread runs at any time, so a run is
determined by the decisions, and can be repeated from them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

Decide: TypeAlias = Callable[[Sequence["Option"]], int]
"""Chooses one of the options of a step, by its number."""

_LIMIT = 1_000
"""Maximum number of steps of a run: more are an endless loop."""


@dataclass(frozen=True, slots=True)
class Option:
    """A possible next step: an actor makes its next call, or ends before or after it took effect.

    `fault`: "" to go on, or "before" or "after" to end the actor. `preempts`: True if another actor could go on that
    made the call before.
    """

    actor: str
    fault: str = ""
    preempts: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run: who made which call, and if the actor ended with it."""

    actor: str
    call: str
    fault: str = ""

    def __str__(self) -> str:
        ending = f"  [ends {self.fault} it takes effect]" if self.fault else ""
        return f"{self.actor:24} {self.call}{ending}"


class Endless(Exception):
    """Actors repeat their calls for ever."""


class Killed(BaseException):
    """The actor's process ended at this call. Product code must not catch it."""


@dataclass(slots=True)
class _Actor:
    name: str
    run: Callable[[], object]
    may_be_killed: bool = False
    call: str = ""
    """The call that it waits to make."""
    fault: str = ""
    slept_at: int = -1
    """The number of steps when it began to sleep; -1 while it does not."""
    done: bool = False
    error: BaseException | None = None
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))


class Scheduler:
    """One run. `decide` chooses among the options of each step."""

    def __init__(self, decide: Decide) -> None:
        self.steps: list[Step] = []
        self.faults = 0
        """Number of actors that ended at a call."""
        self._decide = decide
        self._actors: dict[str, _Actor] = {}
        self._spawned: list[_Actor] = []
        self._threads: list[threading.Thread] = []
        self._back = threading.Semaphore(0)
        self._local = threading.local()

    def run(self, actors: Mapping[str, Callable[[], object]], killable: Sequence[str] = ()) -> None:
        """Run actors to their ends. `killable`: those that may end at any call. Raise what an actor raises."""
        for name, function in actors.items():
            self.spawn(name, function, killable=name in killable)
        last = ""
        while True:
            self._start_spawned()
            if not (waiting := [actor for actor in self._actors.values() if not actor.done]):
                break
            if len(self.steps) >= _LIMIT:
                self._abort(waiting)
                raise Endless(f"the actors do not end within {_LIMIT} steps")
            awake = [actor for actor in waiting if actor.slept_at < len(self.steps)] or waiting
            options = _options(awake, last)
            option = options[self._decide(options)] if len(options) > 1 else options[0]
            actor = self._actors[option.actor]
            self.faults += bool(option.fault)
            self.steps.append(Step(actor.name, actor.call, option.fault))
            actor.fault, actor.slept_at, last = option.fault, -1, actor.name
            self._give_turn(actor)
        for thread in self._threads:
            thread.join()
        for actor in self._actors.values():
            if actor.error is not None:
                raise actor.error

    def spawn(self, name: str, run: Callable[[], object], *, killable: bool = False) -> None:
        """Add an actor. During a run it begins after the present step."""
        while name in self._actors:
            name += "'"
        self._actors[name] = actor = _Actor(name, run, killable)
        self._spawned.append(actor)

    def sleep(self, what: str) -> None:
        """Sleep as an actor: it goes on when another has made a step, or when none can."""
        actor: _Actor | None = getattr(self._local, "actor", None)
        if actor is not None:
            actor.slept_at = len(self.steps)
            self.call(f"sleeps {what}", lambda: None)

    def _abort(self, waiting: Sequence[_Actor]) -> None:
        """End all actors at their present calls."""
        for actor in waiting:
            actor.fault = "before"
            self._give_turn(actor)

    def _start_spawned(self) -> None:
        """Run new actors up to their first calls."""
        while self._spawned:
            actor = self._spawned.pop(0)
            thread = threading.Thread(target=self._run_actor, args=(actor,), daemon=True)
            self._threads.append(thread)
            thread.start()
            self._give_turn(actor)

    def call(self, what: str, effect: Callable[[], object]) -> object:
        """Make a call: wait for the turn, then let it take effect. Outside an actor it takes effect at once."""
        actor: _Actor | None = getattr(self._local, "actor", None)
        if actor is None:
            return effect()
        if actor.fault:  # the process has ended; this is a `finally` of its code
            raise Killed
        actor.call = what
        self._back.release()
        actor.turn.acquire()
        fault: str = actor.fault  # which `run` has set meanwhile
        if fault == "before":
            raise Killed
        result = effect()
        if fault == "after":
            raise Killed
        return result

    def timeline(self) -> str:
        """Return the steps of the run, one per line."""
        return "\n".join(f"{number:3} {step}" for number, step in enumerate(self.steps, 1))

    def _give_turn(self, actor: _Actor) -> None:
        actor.turn.release()
        self._back.acquire()

    def _run_actor(self, actor: _Actor) -> None:
        actor.turn.acquire()
        self._local.actor = actor
        try:
            actor.run()
        except Killed:
            pass
        except BaseException as error:
            actor.error = error
        actor.done = True
        self._back.release()


def _options(waiting: Sequence[_Actor], last: str) -> list[Option]:
    """Return what can happen next. The first option is that the last actor goes on."""
    others_wait = any(actor.name == last for actor in waiting)
    ordered = sorted(waiting, key=lambda actor: actor.name != last)
    options = [Option(actor.name, "", others_wait and actor.name != last) for actor in ordered]
    for actor in ordered:
        if actor.may_be_killed:
            preempts = others_wait and actor.name != last
            options += [Option(actor.name, fault, preempts) for fault in ("before", "after")]
    return options
