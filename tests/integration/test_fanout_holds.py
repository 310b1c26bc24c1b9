"""Fan-out and connections on hold: those that resume, and those that do not read and are left to replay."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from chaincast.aws import environment
from chaincast.jobs.messages import Replay, parse_job
from chaincast.model.holds import HoldKey
from chaincast.replay.holds import Holds
from tests.hold_writes import hold
from tests.integration.helpers import items, receive_all, subscriptions
from tests.integration.staging import NOW, V1, Stage, batch, ids, record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def test_a_connection_on_hold_is_passed_over_and_that_is_on_record(stage: Stage, database: DynamoDBClient) -> None:
    holds, place = Holds(database, environment.SUBSCRIPTIONS.lower()), HoldKey("a", "anvil", 1, "t")
    for name in ("a", "b"):
        stage.subscribe(name, "network:anvil")
    hold(database, environment.SUBSCRIPTIONS.lower(), place, 0, NOW)
    assert stage.run(record(batch(1)), record(batch(2))) == []
    assert (stage.told("a"), len(stage.told("b"))) == ([], 2)
    assert not holds.release(place, 1)
    assert holds.release(place, 2)
    assert stage.run(record(batch(2)), record(batch(3))) == []
    assert stage.told("a") == ids(batch(3))
    holds.remove(place)
    assert stage.run(record(batch(4))) == []
    assert stage.told("a") == ids(batch(3), batch(4))


def test_a_hold_is_seen_by_whoever_sees_the_rows_that_came_after_it(stage: Stage, database: DynamoDBClient) -> None:
    holds, place = Holds(database, environment.SUBSCRIPTIONS.lower()), HoldKey("a", "anvil", 1, "t")

    def resume() -> None:
        hold(database, environment.SUBSCRIPTIONS.lower(), place, 0, NOW)
        stage.subscribe("a", "network:anvil")

    def at_the(nth: int) -> Callable[[], None]:
        def query() -> None:
            if nth == 1:
                resume()
            else:
                stage.gateway.before["Query"] = at_the(nth - 1)

        return query

    for nth in range(1, 12):  # whichever Query it happens before
        stage.subscribe("b", "network:anvil")
        stage.gateway.before["Query"] = at_the(nth)
        assert stage.run(record(batch(nth))) == []
        stage.gateway.before.clear()
        assert stage.told("a") == []
        subscriptions().remove_all(["a"])
        holds.remove(place)


def test_a_hold_lifted_between_read_and_write_is_respected(
    stage: Stage, database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds, place = Holds(database, environment.SUBSCRIPTIONS.lower()), HoldKey("a", "anvil", 1, "t")
    stage.subscribe("a", "network:anvil")
    hold(database, environment.SUBSCRIPTIONS.lower(), place, 0, NOW)
    stage.gateway.before["UpdateItem"] = lambda: holds.release(place, 1)  # before `passed` is written
    assert stage.run(record(batch(1)), record(batch(2))) == []
    assert stage.told("a") == ids(batch(2))


def replay() -> Replay:
    """Wait for the job of the lifecycle queue, which comes with a delay, and delete it."""
    ends = time.monotonic() + 30
    while not (jobs := [parse_job(body) for body in receive_all(environment.LIFECYCLE_QUEUE)]):
        assert time.monotonic() < ends
        time.sleep(0.02)
    (job,) = jobs
    assert isinstance(job, Replay)
    return job


def test_who_does_not_read_is_left_to_replay_and_nobody_waits(stage: Stage, database: DynamoDBClient) -> None:
    for name in ("a", "b"):
        stage.subscribe(name, "network:anvil")
    stage.gateway.script["a"].extend([429] * 100)
    assert stage.run(record(batch(4)), record(batch(5))) == []
    assert stage.told("b") == ids(batch(4), batch(5))
    job = replay()
    assert (job.connection_id, job.dialect, job.source, job.shards) == ("a", V1, "anvil", 1)
    holds, key = Holds(database, environment.SUBSCRIPTIONS.lower()), HoldKey("a", "anvil", 1, job.token)
    assert holds.since(key) == (3, False)
    refused = 100 - len(stage.gateway.script["a"])
    assert stage.run(record(batch(6))) == []
    assert 100 - len(stage.gateway.script["a"]) == refused, "it is on hold"
    assert not holds.release(key, 5), "batch 6 was left to the replay"
    assert holds.release(key, 6)
    stage.gateway.script["a"].clear()
    assert stage.run(record(batch(7))) == []
    assert stage.told("a") == ids(batch(7))


def test_who_stalls_again_soon_is_left_again_from_where_the_replay_ended(
    stage: Stage, database: DynamoDBClient
) -> None:
    stage.subscribe("a", "network:anvil")
    holds, key = Holds(database, environment.SUBSCRIPTIONS.lower()), HoldKey("a", "anvil", 1, "t")
    hold(database, environment.SUBSCRIPTIONS.lower(), key, 0, NOW)
    assert holds.release(key, 4)
    stage.gateway.script["a"].extend([429] * 100)
    assert stage.run(record(batch(3)), record(batch(4)), record(batch(5))) == []
    job = replay()
    assert holds.since(HoldKey("a", "anvil", 1, job.token)) == (4, False)
    holds.remove(key)  # a job of the earlier replay
    assert holds.since(HoldKey("a", "anvil", 1, job.token)) == (4, False)


@pytest.mark.parametrize("failing", ["SendMessageBatch", "UpdateItem"])
def test_who_cannot_be_left_to_replay_is_tried_again(stage: Stage, failing: str) -> None:
    for name in ("a", "b"):
        stage.subscribe(name, "network:anvil")
    stage.gateway.script["a"].extend([429] * 100)
    stage.gateway.script[failing].extend([500] * 6)
    assert stage.run(record(batch(1))) == ["anvil#0 DeliverBatch 1"]
    assert not [i for i in items(environment.SUBSCRIPTIONS) if i["topic_shard"]["S"].startswith("resuming/")]
    stage.gateway.script[failing].clear()
    stage.gateway.script["a"].clear()
    assert stage.run(record(batch(1), receives=2)) == []
    assert stage.told("a") == stage.told("b") == ids(batch(1))


def test_who_resumes_meanwhile_keeps_its_replay(stage: Stage, database: DynamoDBClient) -> None:
    stage.subscribe("a", "network:anvil")
    stage.gateway.script["a"].extend([429] * 100)
    holds, key = Holds(database, environment.SUBSCRIPTIONS.lower()), HoldKey("a", "anvil", 1, "resumes")
    stage.gateway.before["UpdateItem"] = lambda: hold(database, environment.SUBSCRIPTIONS.lower(), key, 0, NOW)
    assert stage.run(record(batch(1))) == ["anvil#0 DeliverBatch 1"]
    assert holds.since(key) == (0, False)
    assert stage.run(record(batch(1), receives=2)) == []
    assert not holds.release(key, 0)
    assert holds.release(key, 1)
