"""The fan-out function against moto's table and a gateway with scripted responses."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from chaincast.aws import environment
from chaincast.aws.lambda_events import SqsRecord
from chaincast.fanout.messages import AwaitDrained, DeliverBatch, ShardDrained
from chaincast.fanout.retries import DEADLINE_MARGIN_MS, GIVE_UP_TRIES
from chaincast.metrics.logger import make_logger
from chaincast.model.sharding import ShardAssignment, shard_of
from functions.fanout_services import fanout_retries
from tests.factories import make_batch, make_event
from tests.integration.helpers import items
from tests.integration.staging import Stage, batch, ids, record

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


def test_the_batches_of_one_invocation_are_one_message_to_each_subscriber(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil")
    stage.subscribe("b", "trades:*:*")
    stage.subscribe("c", "tokens:anvil")
    batches = [batch(i, 0, 1) for i in range(1, 6)]
    assert stage.run(*map(record, batches)) == []
    assert stage.cursors("a") == stage.cursors("b") == ["000000000005"]
    assert stage.told("a") == stage.told("b") == ids(*batches)
    assert stage.gateway.posts["c"] == []
    assert stage.run(record(batch(6))) == []
    assert stage.cursors("a") == ["000000000005", "000000000006"]


def test_kinds_are_what_a_subscription_lets_through(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil", kinds=["token.created"])
    stage.subscribe("b", "network:anvil", kinds=["trade", "alert"])
    both = make_batch(make_event(0), make_event(1, kind="token.created"))
    assert stage.run(record(both)) == []
    assert (stage.told("a"), stage.told("b")) == ([both.events[1].id], [both.events[0].id])


def test_subscribers_beyond_a_page_are_reached_once_each(stage: Stage) -> None:
    names = [f"c{i:03d}" for i in range(137)]
    for name in names:
        stage.subscribe(name, "network:anvil", "trades:*:*") if int(name[1:]) % 3 else stage.subscribe(
            name, "network:*"
        )
    stage.gateway.page_size = 10
    one = batch(1)
    assert stage.run(record(one)) == []
    assert all(stage.told(name) == ids(one) for name in names)


def test_who_is_gone_is_forgotten(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil", "price:BTC")
    stage.subscribe("b", "network:anvil")
    stage.gateway.script["a"].append(410)
    assert stage.run(record(batch(1))) == []
    assert {i["connection_id"]["S"] for i in items(environment.CONNECTIONS)} == {"b"}
    assert {i["connection_id"]["S"] for i in items(environment.SUBSCRIPTIONS)} == {"b"}
    assert len(stage.gateway.posts["b"]) == 1


def test_what_failed_is_handed_back_other_groups_go_on_and_nobody_gets_it_twice(stage: Stage) -> None:
    for name in ("a", "b", "c"):
        stage.subscribe(name, "network:anvil")
    stage.subscribe("o", "network:bsc")
    one, two, three = batch(1), batch(2), batch(3)
    stage.gateway.script["b"].extend([500] * 5)
    failed = stage.run(record(one), record(batch(1, source="bsc"), "bsc#0"), record(two))
    assert failed == ["anvil#0 DeliverBatch 1", "anvil#0 DeliverBatch 2"]
    assert stage.told("a") == stage.told("c") == ids(one, two)
    assert (stage.told("b"), len(stage.told("o"))) == ([], 1)
    assert stage.run(record(one, receives=2), record(two, receives=2), record(three)) == []
    assert stage.told("a") == stage.told("b") == stage.told("c") == ids(one, two, three)
    assert stage.cursors("b") == ["000000000003"]


def test_what_is_refused_is_dropped_and_logged_once_with_its_cause(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b", "c"):
        stage.subscribe(name, "network:anvil")
    for name in ("a", "b"):
        stage.gateway.script[name].append(413)
    assert stage.run(record(batch(1))) == []
    assert stage.told("c") == ids(batch(1))
    (line,) = (r for r in caplog.records if r.message == "messages dropped")
    assert [(cause[:3], count) for cause, count in vars(line)["refused"].items()] == [("413", 2)]


def test_a_shard_does_not_wait_for_ever_for_one_that_cannot_be_reached(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.subscribe(name, "network:anvil")
    stage.gateway.script["b"].extend([500] * 100)
    one = batch(1)
    for tries in range(1, GIVE_UP_TRIES):
        assert stage.run(record(one, receives=tries)) == ["anvil#0 DeliverBatch 1"]
    assert stage.gateway.deleted == []
    assert stage.run(record(one, receives=GIVE_UP_TRIES)) == []
    assert stage.gateway.deleted == ["b"]
    assert stage.told("a") == ids(one)
    assert {i["connection_id"]["S"] for i in items(environment.SUBSCRIPTIONS)} == {"a"}


def test_fewer_batches_than_were_handed_back_may_come_again(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.subscribe(name, "network:anvil")
    batches = [batch(i) for i in (1, 2, 3)]
    stage.gateway.script["b"].extend([500] * 5)
    assert len(stage.run(*map(record, batches))) == 3
    for one in batches:
        assert stage.run(record(one, receives=2)) == []
    assert stage.told("a") == stage.told("b") == ids(*batches)


def test_when_time_runs_out_the_rest_get_theirs_next_time(stage: Stage) -> None:
    names = [f"c{i:02d}" for i in range(40)]
    for name in names:
        stage.subscribe(name, "network:anvil")
    for name in names[10:]:
        stage.gateway.script[name].extend([500] * 4)  # a second or two of trying
    one = batch(1)
    assert stage.run(record(one), milliseconds=DEADLINE_MARGIN_MS + 200) == ["anvil#0 DeliverBatch 1"]
    assert sum(bool(stage.gateway.posts[name]) for name in names) < 40
    for name in names:
        stage.gateway.script[name].clear()
    assert stage.run(record(one, receives=2)) == []
    assert all(stage.told(name) == ids(one) for name in names)


def test_a_damaged_message_stops_its_group_only(stage: Stage) -> None:
    stage.subscribe("a", "network:*")
    broken: SqsRecord = {**record(batch(2)), "body": "nonsense"}
    failed = stage.run(record(batch(1)), broken, record(batch(3)), record(batch(1, source="bsc"), "bsc#0"))
    assert failed == ["anvil#0 DeliverBatch 2", "anvil#0 DeliverBatch 3"]
    assert sorted(stage.cursors("a")) == ["000000000001"] * 2


def test_a_throttled_query_is_tried_again(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil")
    stage.gateway.script["Query"].extend([400, 500, "drop"])
    assert stage.run(record(batch(1))) == []
    assert stage.cursors("a") == ["000000000001"]


def test_a_table_that_stays_away_hands_everything_back(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil")
    stage.gateway.script["Query"].extend([500] * 200)
    assert stage.run(record(batch(1))) == ["anvil#0 DeliverBatch 1"]
    stage.gateway.script["Query"].clear()
    assert stage.run(record(batch(1), receives=2)) == []
    assert stage.cursors("a") == ["000000000001"]


def test_with_too_little_time_left_everything_is_handed_back(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil")
    failed = stage.run(record(batch(1)), record(batch(2)), milliseconds=DEADLINE_MARGIN_MS - 1)
    assert len(failed) == 2
    assert stage.gateway.posts["a"] == []


def test_rows_under_another_number_of_shards_are_found(stage: Stage) -> None:
    names = [f"c{i}" for i in range(24)]
    for i, name in enumerate(names):
        stage.subscribe(name, "network:anvil", shards=(1, 4, 6)[i % 3])
    one = batch(1)
    workers = [ShardAssignment(4, shard, (1, 4, 6)) for shard in range(4)]
    records = [record(DeliverBatch(worker, one), f"anvil#{worker.shard}") for worker in workers]
    for r in records[:2]:
        assert stage.run(r) == []
    assert {name for name in names if stage.told(name)} == {name for name in names if shard_of(name, 4) < 2}
    assert stage.run(*records[2:]) == []
    assert all(stage.told(name) == ids(one) for name in names)


def test_what_the_message_function_writes_now_is_read_whatever_the_listener_knows(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil", shards=1)  # as this deployment's settings say
    assert stage.run(record(DeliverBatch(ShardAssignment(2, shard_of("a", 2), (2,)), batch(1)), "anvil#0")) == []
    assert stage.told("a") == ids(batch(1))


def test_a_new_group_waits_until_the_old_ones_are_closed(stage: Stage) -> None:
    stage.subscribe("a", "network:anvil")
    old = [ShardAssignment(2, shard, (2,)) for shard in (0, 1)]
    new = ShardAssignment(1, 0, (1, 2))
    behind = [record(AwaitDrained(new, "anvil", 7, 2)), record(DeliverBatch(new, batch(8)))]
    assert stage.run(*behind) == ["anvil#0 AwaitDrained 7", "anvil#0 DeliverBatch 8"]
    assert stage.run(record(ShardDrained(old[0], "anvil", 7), "anvil#0")) == []
    assert stage.run(*behind) == ["anvil#0 AwaitDrained 7", "anvil#0 DeliverBatch 8"]
    assert stage.run(record(ShardDrained(old[1], "anvil", 6), "anvil#1")) == []  # an older change
    assert stage.run(*behind) == ["anvil#0 AwaitDrained 7", "anvil#0 DeliverBatch 8"]
    assert stage.told("a") == []
    assert stage.run(record(ShardDrained(old[1], "anvil", 7), "anvil#1")) == []
    assert stage.run(*behind) == []
    assert stage.told("a") == ids(batch(8))


@pytest.mark.parametrize(("receives", "seconds"), [(1, 1), (2, 2), (4, 8), (30, 60)])
def test_handed_back_messages_come_again_soon_and_ever_later(
    fanout: ModuleType, queues: SQSClient, monkeypatch: pytest.MonkeyPatch, receives: int, seconds: int
) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(queues, "change_message_visibility", lambda **parameters: asked.append(parameters))
    fanout_retries(make_logger("test")).retry_soon([record(batch(1), receives=receives)])
    assert [(a["ReceiptHandle"], a["VisibilityTimeout"]) for a in asked] == [("handle 1", seconds)]


def test_a_message_that_cannot_be_made_visible_comes_again_later_and_fails_nothing(
    fanout: ModuleType, queues: SQSClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def change(**parameters: str) -> None:
        asked.append(parameters["ReceiptHandle"])
        raise RuntimeError("throttled")

    monkeypatch.setattr(queues, "change_message_visibility", change)
    fanout_retries(make_logger("test")).retry_soon([record(batch(1)), record(batch(2))])
    assert asked == ["handle 1", "handle 2"]
