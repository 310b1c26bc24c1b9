"""A client that stops reading for a while, and may subscribe to another topic from an earlier cursor meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from tests.interleavings.delivery import Delivery
from tests.interleavings.resuming import BATCHES, STORED, TOKENS, undelivered
from tests.interleavings.scheduler import Scheduler

REFUSALS = 2
"""Posts that are refused. The replay's first try meets one of them, so that the connection is not closed."""


def stalling_client(scheduler: Scheduler, *, resumes: bool = False) -> Sequence[str]:
    """Run the scenario. `resumes`: the client subscribes to another topic, from an earlier cursor.

    Return which promises do not hold.
    """
    topics = [f"trades:anvil:{token}" for token in TOKENS]
    world = Delivery(scheduler, topics)
    world.connect()
    for stored in BATCHES[:STORED]:
        world.append(stored)
    world.send(type="subscribe", id="0", topics=topics[:1] if resumes else topics)()
    world.clients.refusals["c1"] = REFUSALS
    actors = {"publish": world.publish(*BATCHES[STORED:-1])}
    if resumes:
        actors["resume"] = world.send(type="subscribe", id="1", topics=topics[1:], since="000000000001")
    scheduler.run(actors)
    world.publish(BATCHES[-1])()
    if world.closed:  # after two tries of one replay: the client connects again and resumes
        return []
    return [*world.problems(), *undelivered(world, (STORED, 1 if resumes else STORED))]


def stalling_client_that_resumes(scheduler: Scheduler) -> Sequence[str]:
    """Run the scenario with a client that resumes."""
    return stalling_client(scheduler, resumes=True)
