"""Tests of the greeter with a fake poster."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.jobs.messages import Greet
from chaincast.metrics.logger import make_logger
from chaincast.sessions.connection_store import Connection
from chaincast.sessions.greeter import Greeter
from tests.unit.handler_fakes import NOW, SETTINGS, CountingMetrics, RecordingPoster, connection

JOB = Greet("c1", "chaincast.v1")
GONE = Outcomes(gone=["c1"])
LEFT = Outcomes(deferred=["c1"])


class Store:
    """Connection records, and the number of reads."""

    def __init__(self, record: Connection | None) -> None:
        self.record = record
        self.reads = 0

    def get(self, connection_id: str) -> Connection | None:
        self.reads += 1
        return self.record


def greet(
    poster: RecordingPoster, store: Store, job: Greet = JOB, *, is_last: bool = False
) -> tuple[bool, dict[str, int]]:
    metrics = CountingMetrics()
    greeter = Greeter(
        SETTINGS, poster, lambda: store, metrics, make_logger("test"), retry_delays=(0, 0), clock=lambda: NOW
    )
    return asyncio.run(greeter.greet(job, is_last=is_last)), metrics.counts


def test_the_greeting_is_posted_in_the_connections_dialect() -> None:
    poster, store = RecordingPoster(), Store(connection())
    assert greet(poster, store) == (True, {"MessagesOut greeting": 1})
    (message,) = poster.posted["c1"]
    assert json.loads(message)["type"] == "connected"
    assert store.reads == 0, "boto3 is not needed"


def test_it_is_posted_again_while_the_handshake_is_not_complete() -> None:
    poster, store = RecordingPoster(GONE, GONE), Store(connection())
    assert greet(poster, store)[0]
    assert len(poster.posted["c1"]) == 1
    assert store.reads == 2


def test_a_connection_that_was_closed_is_not_greeted() -> None:
    poster = RecordingPoster(GONE)
    assert greet(poster, Store(None)) == (True, {})
    assert poster.posted == {}


@pytest.mark.parametrize("outcomes", [GONE, LEFT])
def test_after_the_last_attempt_the_job_is_left_to_the_queue(outcomes: Outcomes) -> None:
    poster = RecordingPoster(*[outcomes] * 3)
    assert greet(poster, Store(connection())) == (False, {})
    assert poster.outcomes == []


def test_a_greeting_that_api_gateway_refuses_is_not_tried_again() -> None:
    poster = RecordingPoster(Outcomes(refused=Counter({"413": 1})))
    assert greet(poster, Store(connection()))[0]
    assert poster.posted == {}


def test_after_the_last_receive_a_connection_that_never_opened_is_no_dead_letter() -> None:
    """`$connect` may fail after it has stored the record. The heartbeat removes the record."""
    assert greet(RecordingPoster(GONE), Store(connection()), is_last=True) == (True, {})


def test_after_the_last_receive_a_connection_that_cannot_be_reached_is_a_dead_letter() -> None:
    assert greet(RecordingPoster(*[LEFT] * 3), Store(connection()), is_last=True) == (False, {})
