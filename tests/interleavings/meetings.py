"""Scenarios in which functions that concern one connection meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from tests.interleavings.explore import Scenario
from tests.interleavings.resuming import two_resumes
from tests.interleavings.scheduler import Scheduler
from tests.interleavings.sessions import Sessions
from tests.interleavings.stalling import stalling_client, stalling_client_that_resumes

A, B, C = (f"trades:anvil:0x{digit * 40}" for digit in "abc")
PRIVATE = "orders:ann"

ACTORS: Mapping[str, Callable[[Sessions], Callable[[], None]]] = {
    "subscribe": lambda world: world.send(type="subscribe", id="subscribe", topics=[A]),
    "subscribe-two": lambda world: world.send(type="subscribe", id="subscribe-two", topics=[B, C]),
    "subscribe-private": lambda world: world.send(type="subscribe", id="subscribe-private", topics=[PRIVATE]),
    "subscribe-premium": lambda world: world.send(type="subscribe", id="subscribe-premium", topics=["alerts:*"]),
    "unsubscribe": lambda world: world.send(type="unsubscribe", id="unsubscribe", topics=[A, PRIVATE]),
    "authenticate-bob": lambda world: world.send(type="authenticate", id="authenticate-bob", token="bob"),
    "authenticate-eve": lambda world: world.send(type="authenticate", id="authenticate-eve", token="eve+"),
    "disconnect": lambda world: world.disconnect(),
    "remove-gone": lambda world: world.remove_gone("c1", [A, B]),
}
"""Functions that change one connection, whose user is the premium user ann at first."""


DELIVERIES: Mapping[str, Scenario] = {
    "two-resumes": two_resumes,
    "stalling-client": stalling_client,
    "stalling-client-that-resumes": stalling_client_that_resumes,
}
"""Scenarios in which clients are owed events."""

FLAGS = ("subscribed", "killable")


def meeting(names: Sequence[str], *, subscribed: bool, killable: bool = False) -> Scenario:
    """Return a scenario in which these actors meet.

    `subscribed`: the connection has topics already. `killable`: a function may end at any call.
    """

    def run(scheduler: Scheduler) -> Sequence[str]:
        world = Sessions(scheduler)
        world.connect(user="ann", premium=True)
        if subscribed:
            world.send(type="subscribe", id="before", topics=[A, PRIVATE])()
            assert world.replies["before"]["type"] == "subscribed"
        actors = {f"{number} {name}": ACTORS[name](world) for number, name in enumerate(names)}
        scheduler.run(actors, [*actors] if killable else ())
        if scheduler.faults:
            world.heal([A, B, C, PRIVATE, "alerts:*"])
        return world.problems(counts=not scheduler.faults)

    return run


def any_scenario(dice: Random) -> tuple[str, Scenario]:
    """Return the name of a scenario, from which `named` makes it again, and the scenario."""
    if dice.random() < 0.3:
        name = dice.choice([*DELIVERIES])
        return name, DELIVERIES[name]
    names = dice.choices([*ACTORS], k=dice.choice((2, 3, 4)))
    flags = [flag for flag in FLAGS if dice.random() < 0.5]
    name = ":".join([*flags, ",".join(names)])
    return name, named(name)


def named(name: str) -> Scenario:
    """Return the scenario with a name. Raise KeyError if there is none."""
    if name in DELIVERIES:
        return DELIVERIES[name]
    *flags, names = name.split(":")
    actors = names.split(",")
    if unknown := [word for word in (*flags, *actors) if word not in (*FLAGS, *ACTORS)]:
        raise KeyError(f"{unknown[0]!r}: known are {', '.join((*FLAGS, *ACTORS, *DELIVERIES))}")
    return meeting(actors, subscribed="subscribed" in flags, killable="killable" in flags)
