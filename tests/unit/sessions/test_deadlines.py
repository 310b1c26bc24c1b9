"""Tests of deadlines and of the end of tokens, with fakes."""

from __future__ import annotations

import asyncio
import json

import pytest

from chaincast.jobs.messages import MAX_DELAY_SECONDS, Deadline, IdentityExpiry, Requirement
from chaincast.sessions.connection_store import Connection
from chaincast.sessions.deadlines import DeadlineEnforcer, is_met
from tests.unit.handler_fakes import (
    NOW,
    SETTINGS,
    CountingMetrics,
    RecordingConnectionApi,
    RecordingJobs,
    RecordingPoster,
    connection,
)

NOW_S = NOW // 1000


class World:
    """A deadline enforcer with fakes, and one connection or none."""

    def __init__(self, record: Connection | None) -> None:
        self.record = record
        self.poster, self.api, self.jobs = RecordingPoster(), RecordingConnectionApi(), RecordingJobs()
        self.metrics = CountingMetrics()
        self.enforcer = DeadlineEnforcer(
            SETTINGS, self.poster, lambda: self, lambda: self.api, lambda: self.jobs, self.metrics, lambda: NOW
        )

    def get(self, connection_id: str) -> Connection | None:
        return self.record

    def types(self) -> list[str]:
        """Return the types of the messages that the connection has received."""
        return [json.loads(message)["type"] for message in self.poster.posted.get("c1", [])]


@pytest.mark.parametrize(
    ("requirement", "record", "met"),
    [
        (Requirement.JOINED, connection(), False),
        (Requirement.JOINED, connection(joined=True), True),
        (Requirement.AUTHENTICATED, connection(joined=True), False),
        (Requirement.AUTHENTICATED, connection(user="ann", user_until=NOW_S - 1), True),
        (Requirement.RENEWED, connection(), False),
        (Requirement.RENEWED, connection(user="ann"), True),
        (Requirement.RENEWED, connection(user="ann", user_until=NOW_S), False),
        (Requirement.RENEWED, connection(user="ann", user_until=NOW_S + 1), True),
    ],
)
def test_what_meets_a_requirement(requirement: Requirement, record: Connection, met: bool) -> None:
    assert is_met(requirement, record, NOW_S) == met
    world = World(record)
    asyncio.run(world.enforcer.enforce(Deadline("c1", requirement)))
    assert world.api.closed == ([] if met else ["c1"])
    assert world.metrics.counts.get("HandshakeTimeouts", 0) == (0 if met else 1)


@pytest.mark.parametrize("requirement", Requirement)
def test_a_client_is_notified_before_it_is_closed_except_in_the_handshake(requirement: Requirement) -> None:
    world = World(connection(dialect="moonx"))
    asyncio.run(world.enforcer.enforce(Deadline("c1", requirement)))
    assert world.types() == ([] if requirement is Requirement.JOINED else ["auth_failed"])


def test_a_deadline_of_a_closed_connection_does_nothing() -> None:
    world = World(None)
    asyncio.run(world.enforcer.enforce(Deadline("c1", Requirement.JOINED)))
    assert (world.api.closed, world.metrics.counts) == ([], {})


def test_the_end_of_a_token_is_notified_and_sets_a_deadline() -> None:
    world = World(connection(dialect="moonx", user="ann", user_until=NOW_S))
    asyncio.run(world.enforcer.expire_identity(IdentityExpiry("c1", NOW_S)))
    assert world.types() == ["auth_expired", "auth_required"]
    assert world.jobs.jobs == [(Deadline("c1", Requirement.RENEWED), SETTINGS.auth_grace)]
    assert world.metrics.counts == {"MessagesOut notice": 2, "AuthenticationsExpired": 1}


@pytest.mark.parametrize(("seconds_left", "delay"), [(100, 100), (2_000, MAX_DELAY_SECONDS)])
def test_a_job_that_is_early_waits_for_the_end(seconds_left: int, delay: int) -> None:
    until = NOW_S + seconds_left
    world, job = World(connection(user="ann", user_until=until)), IdentityExpiry("c1", until)
    asyncio.run(world.enforcer.expire_identity(job))
    assert world.jobs.jobs == [(job, delay)]
    assert world.types() == []


@pytest.mark.parametrize("record", [None, connection(user="ann", user_until=NOW_S + 500), connection()])
def test_a_token_that_was_renewed_has_a_job_of_its_own(record: Connection | None) -> None:
    world = World(record)
    asyncio.run(world.enforcer.expire_identity(IdentityExpiry("c1", NOW_S)))
    assert (world.jobs.jobs, world.types(), world.metrics.counts) == ([], [], {})
