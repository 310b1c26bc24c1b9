"""Tests of the queue messages of lifecycle jobs."""

from __future__ import annotations

import json

import pytest

from chaincast.errors import CodecError
from chaincast.jobs.messages import Deadline, Requirement, encode_job, parse_job
from tests.unit.jobs.test_lifecycle_handler import JOBS


def test_every_job_is_parsed_as_it_was_encoded() -> None:
    assert [parse_job(encode_job(job)) for job in JOBS] == JOBS
    assert len({json.loads(encode_job(job))["job"] for job in JOBS}) == len(JOBS)


def test_the_requirement_of_a_deadline_is_an_enum() -> None:
    body = encode_job(Deadline("c1", Requirement.RENEWED))
    assert json.loads(body) == {"job": "deadline", "connection_id": "c1", "requirement": "renewed"}
    job = parse_job(body)
    assert isinstance(job, Deadline)
    assert job.requirement is Requirement.RENEWED


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"job":"dance"}',
        '{"job":"greet"}',
        '{"job":"replay","connection_id":"c"}',
        '{"job":"deadline","connection_id":"c","requirement":"singing"}',
        '{"job":["greet"]}',
    ],
)
def test_a_message_that_is_no_job_is_refused(body: str) -> None:
    with pytest.raises(CodecError):
        parse_job(body)
