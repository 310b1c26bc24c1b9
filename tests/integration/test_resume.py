"""`subscribe` with `since`: from the message function over the replay to the fan-out that goes on, on moto."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from chaincast.aws import boto_clients, environment
from chaincast.jobs.messages import RemoveHold, Replay, parse_job
from chaincast.model.cursors import format_cursor
from chaincast.replay import replayer
from tests.factories import OTHER_TOKEN, TOKEN, make_batch, make_event
from tests.integration.handlers import load, with_settings
from tests.integration.helpers import items, subscriptions
from tests.integration.resuming import Stack, batch, ids
from tests.integration.scripted import ScriptedServer
from tests.lambda_functions import Context

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Answer: TypeAlias = dict[str, Any]  # parsed JSON

NOW = 1_700_000_000_000
V1 = "chaincast.v1"


@pytest.fixture
def stack(database: DynamoDBClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setattr(replayer, "TOGETHER", 25)
    boto_clients.sqs()  # boto3's clients are made before the endpoints change, and stay with moto
    with ScriptedServer() as server:
        monkeypatch.setenv(environment.MANAGEMENT_ENDPOINT, f"{server.url}/prod")
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", server.url)
        made = Stack(server, database)
        made.connect()
        yield made
        made.close()


def test_what_was_missed_comes_in_order_and_then_what_is_new(stack: Stack) -> None:
    batches = [batch(i) for i in range(1, 61)]
    stack.append(*batches[:59])
    answer = stack.subscribe("network:anvil", id=1, since=format_cursor(5))
    assert answer == {"type": "subscribed", "id": 1, "topics": ["network:anvil"]}
    stack.fan_out(batches[58])  # lags behind the Log, and passes it over
    assert stack.told() == []
    assert [type(job) for job in stack.work_off()] == [Replay]
    assert stack.told() == ids(*batches[5:59])
    assert stack.cursors() == sorted(stack.cursors())
    assert len(stack.cursors()) == 3  # twenty-five at a time
    stack.fan_out(batches[58])  # once more: it lies before the hand-over
    stack.append(batches[59])
    stack.fan_out(batches[59])
    assert stack.told() == ids(*batches[5:60])
    assert stack.cursors()[-1] == format_cursor(60)


def test_only_what_the_connection_listens_to_is_replayed(stack: Stack) -> None:
    mine, others = [batch(i) for i in (1, 3)], batch(2, token=OTHER_TOKEN)
    stack.append(mine[0], others, mine[1])
    stack.subscribe(f"trades:anvil:{TOKEN}", since=format_cursor(0))
    stack.work_off()
    assert stack.told() == ids(*mine)


def test_batches_of_which_nothing_is_for_a_connection_are_passed_by(stack: Stack) -> None:
    stack.append(*(batch(i, token=OTHER_TOKEN) for i in range(1, 40)), batch(40))
    stack.subscribe(f"trades:anvil:{TOKEN}", since=format_cursor(0))
    assert [type(job) for job in stack.work_off()] == [Replay]
    assert stack.told() == ids(batch(40))


def test_who_was_told_nothing_learns_how_far_it_is(stack: Stack) -> None:
    stack.append(*(batch(i, token=OTHER_TOKEN) for i in range(1, 40)))
    stack.subscribe(f"trades:anvil:{TOKEN}", since=format_cursor(0))
    stack.work_off()
    said = {"type": "events", "source": "anvil", "cursor": format_cursor(39), "events": []}
    assert [json.loads(body) for body in stack.gateway.posts["c1"]] == [said]
    stack.fan_out(batch(40))
    assert stack.cursors() == [format_cursor(39), format_cursor(40)]


def test_a_busy_past_is_told_in_pieces(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replayer, "EVENTS", 4)
    stack.append(*(batch(i) for i in range(1, 11)))
    stack.subscribe("network:anvil", since=format_cursor(0))
    stack.work_off()
    assert stack.told() == ids(*(batch(i) for i in range(1, 11)))
    assert stack.cursors() == [format_cursor(i) for i in (4, 8, 10)]


def test_a_batch_of_several_parts_where_a_piece_would_end_is_told_whole(stack: Stack) -> None:
    batches = [batch(i) for i in range(1, 25)]
    long = make_batch(*(make_event(i, data={"x": "y" * 100_000}) for i in range(12)), seq=25, block=25)
    stack.append(*batches, long, batch(26))
    stack.subscribe("network:anvil", since=format_cursor(0))
    stack.work_off()
    assert stack.told() == ids(*batches, long, batch(26))


def test_a_job_that_fails_fails_alone(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.connect("c2")
    stack.append(batch(1))
    for name in ("c1", "c2"):
        stack.subscribe("network:anvil", since=format_cursor(0), connection_id=name)
    deliver = stack.lifecycle.poster.deliver

    async def broken(payloads: list[bytes], connections: list[str]) -> object:
        if connections == ["c1"]:
            raise ZeroDivisionError
        return await deliver(payloads, connections)

    monkeypatch.setattr(stack.lifecycle.poster, "deliver", broken)
    attributes = {"ApproximateReceiveCount": "1"}
    records = [
        {"messageId": parse_job(body).connection_id, "body": body, "attributes": attributes} for body in stack.jobs()
    ]
    answer = stack.lifecycle.handler({"Records": records}, Context(30_000))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "c1"}]}
    assert (stack.told("c1"), stack.told("c2")) == ([], ids(batch(1)))
    monkeypatch.setattr(stack.lifecycle.poster, "deliver", deliver)
    stack.lifecycle.handler({"Records": records}, Context(30_000))
    assert stack.told("c1") == stack.told("c2") == ids(batch(1))


def test_kinds_count_in_replay_too(stack: Stack) -> None:
    both = make_batch(make_event(0), make_event(1, kind="token.created"), seq=1)
    stack.append(both)
    stack.subscribe("network:anvil", since=format_cursor(0), kinds=["token.created"])
    stack.work_off()
    assert stack.told() == [both.events[1].id]


def test_long_batches_are_replayed_whole(stack: Stack) -> None:
    long = make_batch(*(make_event(i, data={"x": "y" * 100_000}) for i in range(12)), seq=1)
    stack.append(long, batch(2))
    stack.subscribe("network:anvil", since=format_cursor(0))
    stack.work_off()
    assert stack.told() == [*ids(long), *ids(batch(2))]
    assert stack.cursors() == [format_cursor(0)] * 11 + [format_cursor(1), format_cursor(2)]


def test_with_nothing_missed_it_is_live_at_once(stack: Stack) -> None:
    stack.append(batch(1))
    stack.subscribe("network:anvil", since=format_cursor(1))
    stack.work_off()
    stack.append(batch(2))
    stack.fan_out(batch(2))
    assert stack.told() == ids(batch(2))


def test_what_fan_out_passed_over_at_the_last_moment_is_replayed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.append(batch(1))
    stack.subscribe("network:anvil", since=format_cursor(0))
    from chaincast.model.holds import HoldKey
    from chaincast.replay.holds import Holds

    lift = Holds.release

    def late(self: Holds, place: HoldKey, after: int) -> bool:
        """Just before the hold is lifted a batch is appended, and fan-out meets the hold."""
        monkeypatch.setattr(Holds, "release", lift)
        stack.append(batch(2))
        held = {"topic_shard": {"S": place.partition}, "connection_id": {"S": "c1"}}
        boto_clients.dynamodb().update_item(
            TableName=environment.SUBSCRIPTIONS.lower(),
            Key=held,
            UpdateExpression="SET seen = :b",
            ExpressionAttributeValues={":b": {"N": "2"}},
        )
        return lift(self, place, after)

    monkeypatch.setattr(Holds, "release", late)
    stack.work_off()
    assert stack.told() == ids(batch(1), batch(2))


def test_a_topic_subscribed_during_a_replay_waits_for_it_and_misses_nothing(stack: Stack) -> None:
    stack.append(batch(1))
    stack.subscribe(f"trades:anvil:{TOKEN}", since=format_cursor(0))
    stack.subscribe(f"trades:anvil:{OTHER_TOKEN}")
    second = batch(2, token=OTHER_TOKEN)
    stack.append(second)
    stack.fan_out(second)
    assert stack.told() == []
    stack.work_off()
    assert stack.told() == ids(batch(1), second)


def test_two_resumes_at_once_are_one_from_the_earlier_cursor(stack: Stack) -> None:
    batches = [batch(i) for i in range(1, 6)]
    stack.append(*batches)
    stack.subscribe("network:anvil", since=format_cursor(1))
    stack.subscribe("tokens:anvil", since=format_cursor(3))
    assert len(stack.work_off()) == 2
    assert stack.told() == ids(*batches[1:])


def test_each_source_is_resumed_by_itself(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    networks = ("anvil", "bsc")
    with_settings(monkeypatch, networks=networks)
    stack.message = load("message")
    for source in networks:
        stack.append(*(batch(i, source=source) for i in (1, 2, 3)))
    stack.subscribe("trades:*:*", since={"anvil": format_cursor(1), "bsc": format_cursor(2)})
    stack.work_off()
    assert sorted(stack.told()) == sorted(ids(batch(2), batch(3), batch(3, source="bsc")))


def test_a_cursor_that_is_older_than_the_log_is_expired_and_named_the_oldest(
    stack: Stack, database: DynamoDBClient
) -> None:
    stack.append(*(batch(i) for i in range(1, 10)))
    for seq in (1, 2, 3, 4):
        key = {"source": {"S": "anvil"}, "cursor": {"S": format_cursor(seq)}}
        database.delete_item(TableName=environment.LOG.lower(), Key=key)
    answer = stack.subscribe("network:anvil", id="r", since=format_cursor(2))
    assert {k: answer[k] for k in ("type", "id", "code", "source", "oldest")} == {
        "type": "error",
        "id": "r",
        "code": "CURSOR_EXPIRED",
        "source": "anvil",
        "oldest": format_cursor(4),
    }
    assert items(environment.SUBSCRIPTIONS) == []
    assert stack.jobs() == []
    assert stack.subscribe("network:anvil", since=answer["oldest"])["type"] == "subscribed"
    stack.work_off()
    assert stack.told() == ids(*(batch(i) for i in range(5, 10)))


def test_a_log_that_expired_whole_still_knows_its_newest(stack: Stack, database: DynamoDBClient) -> None:
    stack.append(batch(1))
    key = {"source": {"S": "anvil"}, "cursor": {"S": format_cursor(1)}}
    database.delete_item(TableName=environment.LOG.lower(), Key=key)
    assert stack.subscribe("network:anvil", since=format_cursor(0))["oldest"] == format_cursor(1)
    assert stack.subscribe("network:anvil", since=format_cursor(1))["type"] == "subscribed"


def test_what_expires_during_a_replay_is_told(stack: Stack, database: DynamoDBClient) -> None:
    stack.append(batch(1), batch(2))
    stack.subscribe("network:anvil", since=format_cursor(0))
    key = {"source": {"S": "anvil"}, "cursor": {"S": format_cursor(1)}}
    database.delete_item(TableName=environment.LOG.lower(), Key=key)
    stack.work_off()
    (message,) = map(json.loads, stack.gateway.posts["c1"])
    assert (message["code"], message["oldest"]) == ("CURSOR_EXPIRED", format_cursor(1))
    stack.append(batch(3))
    stack.fan_out(batch(3))
    assert stack.told() == ids(batch(3))


@pytest.mark.parametrize(
    ("since", "code"), [(format_cursor(7), "BAD_CURSOR"), ({"eth": format_cursor(1)}, "UNKNOWN_NETWORK")]
)
def test_cursors_of_elsewhere_are_refused(stack: Stack, since: object, code: str) -> None:
    stack.append(batch(1))
    assert stack.subscribe("network:anvil", since=since)["code"] == code


def test_a_client_that_left_ends_its_replay(stack: Stack) -> None:
    stack.append(batch(1))
    stack.subscribe("network:anvil", since=format_cursor(0))
    stack.gateway.script["c1"].append(410)
    stack.work_off()
    assert stack.jobs() == []
    assert not [i for i in items(environment.SUBSCRIPTIONS) if i["topic_shard"]["S"].startswith("resuming/")]


def test_a_replay_that_gets_no_further_goes_on_another_time(stack: Stack) -> None:
    stack.append(*(batch(i) for i in range(1, 31)))
    stack.subscribe("network:anvil", since=format_cursor(0))
    stack.gateway.script["c1"].extend([200, *[500] * 5])
    stack.work_off()
    assert stack.told() == ids(*(batch(i) for i in range(1, 26)))
    wait_for(stack.work_off)
    assert stack.told() == ids(*(batch(i) for i in range(1, 31)))


def test_a_client_that_reads_again_gets_what_fan_out_left_to_replay(stack: Stack) -> None:
    batches = [batch(i) for i in range(1, 31)]
    stack.subscribe("network:anvil")
    stack.append(*batches)
    stack.gateway.script["c1"].extend([429] * 100)
    stack.fan_out(*batches[:3])
    stack.fan_out(*batches[3:])
    assert stack.told() == []
    stack.gateway.script["c1"].clear()
    stack.gateway.script["c1"].extend([429] * 3)  # it reads slowly
    wait_for(stack.work_off)
    assert stack.told() == ids(*batches)
    stack.append(batch(31))
    stack.fan_out(batch(31))
    assert stack.told() == ids(*batches, batch(31))


def test_a_client_that_reads_nothing_is_closed_at_the_second_try(stack: Stack) -> None:
    stack.subscribe("network:anvil")
    stack.append(batch(1))
    stack.gateway.script["c1"].extend([429] * 100)
    stack.fan_out(batch(1))
    (job,) = wait_for(stack.work_off)
    assert stack.gateway.deleted == []
    stack.run(job)  # which comes again after some seconds
    assert stack.gateway.deleted == ["c1"]
    assert not [i for i in items(environment.SUBSCRIPTIONS) if i["connection_id"]["S"] == "c1" and "replay" in i]
    stack.run(job)  # SQS has delivered the job twice
    assert stack.gateway.deleted == ["c1"]


def test_a_client_of_several_vocabularies_gets_each_topic_in_its_own(stack: Stack) -> None:
    events = [make_event(i, token=token, block=1) for i, token in enumerate((TOKEN, OTHER_TOKEN))]
    mixed = make_batch(*events, seq=1, block=1)
    stack.append(mixed)
    subscriptions().add("c1", "moonx", [f"trades:anvil:{OTHER_TOKEN}"], (), 50, NOW)
    stack.subscribe(f"trades:anvil:{TOKEN}", since=format_cursor(0))
    stack.work_off()
    own, other = map(json.loads, stack.gateway.posts["c1"])
    assert (own["type"], [event["id"] for event in own["events"]]) == ("events", [events[0].id])
    assert (other["type"], other["data"]["tradeId"]) == ("trade_update", events[1].id)


def wait_for(work_off: Callable[[], list[Any]]) -> list[Any]:
    """Work off a job that comes with a delay, and return it."""
    deadline = time.monotonic() + 30
    while not (jobs := work_off()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return jobs


def test_a_hold_is_deleted_when_it_has_done_its_work(stack: Stack) -> None:
    stack.append(batch(1))
    stack.subscribe("network:anvil", since=format_cursor(0))
    (job,) = stack.work_off()
    (hold,) = (i for i in items(environment.SUBSCRIPTIONS) if i["topic_shard"]["S"].startswith("resuming/"))
    assert hold["after"]["N"] == "1"
    stack.run(RemoveHold("c1", "anvil", 1, "other"))
    stack.run(RemoveHold("c1", "anvil", 1, job.token))
    assert not [i for i in items(environment.SUBSCRIPTIONS) if i["topic_shard"]["S"].startswith("resuming/")]
    stack.run(job)  # SQS has delivered the job twice
