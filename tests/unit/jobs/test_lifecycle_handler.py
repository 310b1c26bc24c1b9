"""Tests of the handler of the lifecycle queue, with fakes that record their jobs."""

from __future__ import annotations

import asyncio

import pytest

from chaincast.aws.lambda_events import SqsAttributes, SqsEvent
from chaincast.jobs.lifecycle_handler import DEADLINE_MARGIN_MS, LifecycleHandler, Replays
from chaincast.jobs.messages import Deadline, Greet, IdentityExpiry, Job, RemoveHold, Replay, Requirement, encode_job
from chaincast.metrics.logger import make_logger
from tests.unit.handler_fakes import CountingMetrics

GREET = Greet("c1", "chaincast.v1")
REPLAY = Replay("c1", "chaincast.v1", "anvil", 1, "t")
JOBS: list[Job] = [
    GREET,
    REPLAY,
    RemoveHold("c1", "anvil", 1, "t"),
    Deadline("c1", Requirement.JOINED),
    IdentityExpiry("c1", 1_700_000_000),
]


class Services:
    """Fakes of all services that run jobs. `error`: raised by jobs of the connection `bad`."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.seconds: list[float] = []
        self.is_greeted = True
        self.last_greetings = 0
        self.abandoned: list[Replay] = []
        self.replays_made = 0
        self.metrics = CountingMetrics()
        self.handler = LifecycleHandler(self, self, self._make_replays, self.metrics, make_logger("test"))

    def _make_replays(self) -> Replays:
        self.replays_made += 1
        return self

    def _record(self, job: Job) -> None:
        if job.connection_id == "bad":
            raise ZeroDivisionError
        self.jobs.append(job)

    async def greet(self, job: Greet, *, is_last: bool) -> bool:
        self._record(job)
        self.last_greetings += is_last
        return self.is_greeted

    async def enforce(self, job: Deadline) -> None:
        self._record(job)

    async def expire_identity(self, job: IdentityExpiry) -> None:
        self._record(job)

    async def run(self, job: Replay, seconds: float) -> None:
        self._record(job)
        self.seconds.append(seconds)

    async def abandon(self, job: Replay) -> None:
        self.abandoned.append(job)

    async def remove_hold(self, job: RemoveHold) -> None:
        self._record(job)

    def handle(self, *bodies: str, remaining_ms: int = 30_000, receives: int = 1) -> list[str]:
        """Handle a batch of messages, whose ids are their numbers. Return the ids of those that failed."""
        attributes: SqsAttributes = {"ApproximateReceiveCount": str(receives)}
        event: SqsEvent = {
            "Records": [
                {"messageId": str(number), "receiptHandle": "", "body": body, "attributes": attributes}
                for number, body in enumerate(bodies)
            ]
        }
        response = asyncio.run(self.handler.handle(event, remaining_ms))
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]


def test_every_job_reaches_its_service() -> None:
    services = Services()
    assert services.handle(*map(encode_job, JOBS)) == []
    assert services.jobs == JOBS
    assert services.metrics.counts == {"JobsRetried": 0}


def test_a_replay_ends_before_the_function_is_stopped() -> None:
    services = Services()
    services.handle(encode_job(REPLAY), remaining_ms=DEADLINE_MARGIN_MS + 7_000)
    assert services.seconds == [7.0]


def test_greetings_do_not_build_the_runner_of_replays() -> None:
    services = Services()
    services.handle(encode_job(GREET))
    assert services.replays_made == 0


def test_a_job_that_fails_is_tried_again_without_the_others(caplog: pytest.LogCaptureFixture) -> None:
    services = Services()
    bodies = [encode_job(job) for job in (GREET, Greet("bad", "chaincast.v1"), REPLAY)]
    assert services.handle(*bodies) == ["1"]
    assert services.jobs == [GREET, REPLAY]
    assert services.metrics.counts == {"JobsRetried": 1}
    assert "ZeroDivisionError" in caplog.text


def test_a_connection_that_is_not_greeted_yet_is_greeted_again() -> None:
    services = Services()
    services.is_greeted = False
    assert services.handle(encode_job(GREET)) == ["0"]


def test_a_message_that_is_no_job_goes_to_the_dead_letter_queue_in_the_end() -> None:
    services = Services()
    assert services.handle("{}", '{"job":"dance"}', encode_job(GREET)) == ["0", "1"]
    assert services.jobs == [GREET]


@pytest.mark.parametrize(("receives", "abandoned"), [(1, []), (2, []), (3, [REPLAY]), (4, [REPLAY])])
def test_a_replay_that_failed_each_time_is_abandoned_before_it_is_a_dead_letter(
    receives: int, abandoned: list[Replay]
) -> None:
    services = Services()
    assert services.handle(encode_job(REPLAY), encode_job(GREET), receives=receives) == []
    assert (services.abandoned, services.last_greetings) == (abandoned, len(abandoned))
    assert services.jobs == ([GREET] if abandoned else [REPLAY, GREET])
