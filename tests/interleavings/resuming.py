"""A client that resumes twice at once, with different cursors and topics, while batches are published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaincast.model.batches import Batch
from tests.factories import OTHER_TOKEN, TOKEN, make_batch, make_event
from tests.interleavings.delivery import Delivery
from tests.interleavings.scheduler import Scheduler

TOKENS = (TOKEN, OTHER_TOKEN)
STORED = 4
"""Batches in the event log at first. Two are published meanwhile, and one after everything has ended."""
SINCE = (1, 3)
"""The cursor of each topic."""


def batch(seq: int) -> Batch:
    """Return a batch with a trade of each token."""
    events = [make_event(number, token=token, block=seq) for number, token in enumerate(TOKENS)]
    return make_batch(*events, seq=seq, block=seq)


BATCHES = [batch(seq) for seq in range(1, STORED + 4)]


def two_resumes(scheduler: Scheduler) -> Sequence[str]:
    """Run the scenario. Return which promises do not hold."""
    topics = [f"trades:anvil:{token}" for token in TOKENS]
    world = Delivery(scheduler, topics)
    world.connect()
    for stored in BATCHES[:STORED]:
        world.append(stored)
    actors = {"publish": world.publish(*BATCHES[STORED:-1])}
    for number, (topic, since) in enumerate(zip(topics, SINCE, strict=True)):
        message: dict[str, Any] = {"type": "subscribe", "id": str(number), "topics": [topic], "since": f"{since:012d}"}
        actors[f"resume {number}"] = world.send(**message)
    scheduler.run(actors)
    world.publish(BATCHES[-1])()
    return [*world.problems(), *undelivered(world, SINCE)]


def undelivered(world: Delivery, since: Sequence[int]) -> list[str]:
    """Return what is wrong with the events that the client has received. `since`: the cursor of each topic."""
    found = [f"refused: {reply}" for reply in world.replies.values() if reply["type"] != "subscribed"]
    seen = world.seen()
    for number, after in enumerate(since):
        owed = [batch.events[number].id for batch in BATCHES[after:]]
        received = [id_ for id_ in seen if id_ in owed]
        if missing := [id_ for id_ in owed if id_ not in received]:
            found.append(f"topic {number}: {missing} never arrived")
        elif received != owed:
            found.append(f"topic {number}: the order is {received}")
    found += ["a hold was not released" for hold in world.holds() if "after" not in hold]
    return found
