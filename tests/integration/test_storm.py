"""Tests of the delivery promises under random faults: 25,000 to 200,000 deliveries, with one shard and with eight."""

from __future__ import annotations

import gc
import importlib
import json
import logging
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import ModuleType, SimpleNamespace

import pytest

from chaincast.aws import boto_clients, environment
from chaincast.aws.fast.connection import Connection
from chaincast.aws.lambda_events import SqsRecord
from chaincast.fanout.delivery import Report
from chaincast.fanout.keys import message_group
from chaincast.fanout.messages import DeliverBatch, encode_message
from chaincast.fanout.retries import DEADLINE_MARGIN_MS
from chaincast.metrics.counter_writers import BotoCounterWriter
from chaincast.model.sharding import ShardAssignment, shard_assignments, subscription_partition
from tests.factories import make_batch, make_event
from tests.integration.helpers import end_loop
from tests.integration.storm import Storm, Weather
from tests.lambda_functions import Context
from tests.scale import sized

CONNECTIONS = sized(500, full=1000)
BATCHES = sized(60, full=200)
LEAK_BATCHES = sized(180, full=1200)
CONNECTION_BYTES = 3_000
"""Maximum memory of an open connection of a pool, in bytes (1.8 KB were measured)."""

STORM = Weather(
    throttled=0.003, failed=0.01, cut_before=0.005, cut_after=0.005, stalled=0.0002, gone=0.0005, query_failed=0.05
)


@contextmanager
def function(storm: Storm, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Load the fan-out function with the storm's table and gateway; the State table is moto's."""
    boto_clients.dynamodb()
    storm.start()
    url = f"http://127.0.0.1:{storm.port}"
    monkeypatch.setenv(environment.MANAGEMENT_ENDPOINT, f"{url}/prod")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", url)
    logging.disable(logging.CRITICAL)  # pytest would store every record
    sys.modules.pop("functions.fanout", None)
    module = importlib.import_module("functions.fanout")
    monkeypatch.setattr(module.worker, "_retries", lambda: SimpleNamespace(retry_soon=lambda records: None))
    module.metrics._writer = BotoCounterWriter()
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    for client in (module.management, module.database):
        client.pool._timeout = 1.5
    yield module
    end_loop(module.loop, module.management, module.database, module.queues)
    sys.modules.pop("functions.fanout")
    storm.stop()
    logging.disable(logging.NOTSET)


class Queue:
    """A FIFO queue: message groups in order, up to ten messages at a time, failed ones again."""

    def __init__(self, shards: int, batches: int) -> None:
        self.groups: dict[str, list[SqsRecord]] = {}
        for worker in shard_assignments(shards, ()):
            self.groups[message_group("anvil", worker.shard)] = [record(worker, seq) for seq in range(1, batches + 1)]

    def take(self, dice: Random) -> list[SqsRecord]:
        """Return the messages of the next invocation: one of each group, or several of one."""
        waiting = [group for group, records in self.groups.items() if records]
        if dice.random() < 0.15:
            return self.groups[dice.choice(waiting)][: dice.randint(2, 10)]
        return [self.groups[group][0] for group in waiting]

    def settle(self, taken: list[SqsRecord], failed: set[str]) -> None:
        for done in taken:
            if done["messageId"] in failed:
                done["attributes"]["ApproximateReceiveCount"] = "2"
            else:
                self.groups[done["attributes"]["MessageGroupId"]].remove(done)


def told(body: bytes) -> list[str]:
    """Return the ids of a message's events."""
    return [event["id"] for event in json.loads(body)["events"]]


def record(worker: ShardAssignment, seq: int) -> SqsRecord:
    group = message_group("anvil", worker.shard)
    batch = make_batch(make_event(0, block=seq), make_event(1, block=seq), seq=seq, block=seq)
    return {
        "messageId": f"{group} {seq}",
        "receiptHandle": "",
        "body": encode_message(DeliverBatch(worker, batch)),
        "attributes": {"MessageGroupId": group, "ApproximateReceiveCount": "1", "SentTimestamp": "1700000000000"},
    }


@pytest.mark.parametrize("shards", [1, 8])
def test_despite_faults_every_client_gets_every_event_in_order(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = Random(shards)
    names = [f"L{i:04d}abc=" for i in range(CONNECTIONS)]
    rows: dict[str, list[str]] = {}
    for name in names:
        rows.setdefault(subscription_partition("network:anvil", name, shards), []).append(name)
    storm = Storm(rows, STORM, seed=shards)
    queue = Queue(shards, BATCHES)
    counted = handed_back = invocations = 0
    with function(storm, monkeypatch) as module:
        deliver = module.worker.deliverer.deliver

        async def counting(*arguments: object) -> Report:
            nonlocal counted
            report: Report = await deliver(*arguments)
            counted += report.outcomes.repeated
            return report

        monkeypatch.setattr(module.worker.deliverer, "deliver", counting)
        while any(queue.groups.values()):
            taken = queue.take(dice)
            hurried = dice.random() < 0.1  # the time is up before the batch is done
            answer = module.handler({"Records": taken}, Context(DEADLINE_MARGIN_MS + (30 if hurried else 40_000)))
            failed = {f["itemIdentifier"] for f in answer["batchItemFailures"]}
            queue.settle(taken, failed)
            handed_back += len(failed)
            invocations += 1
            assert invocations < 10_000
    everything = ids(BATCHES)
    posts = unsure = repeats = 0
    for name in names:
        posts += len(storm.received[name])
        got: set[str] = set()
        times: Counter[str] = Counter()
        for body in storm.received[name]:
            message = told(body)
            times.update(message)
            repeats += not got.isdisjoint(message)
            # The new events of a message must directly follow those of earlier messages.
            assert [i for i in message if i not in got] == everything[len(got) : len(got | set(message))]
            got.update(message)
        assert name in storm.gone or len(got) == len(everything)
        # An event may be repeated once for each post of it that was read without a response. (Such a post may have
        # carried several batches, which then come one by one.)
        unanswered = Counter(id_ for body in storm.unsure[name] for id_ in told(body))
        assert all(often <= 1 + unanswered[id_] for id_, often in times.items())
        unsure += len(storm.unsure[name])
    assert unsure <= counted
    assert posts > CONNECTIONS * BATCHES / 2
    assert min(storm.met[fault] for fault in ("throttled", "failed", "cut_before", "cut_after")) > 50
    assert storm.met["stalled"]
    assert handed_back
    assert 0 < len(storm.gone) < CONNECTIONS / 2
    print(
        f"{posts} posts in {invocations} invocations, {len(storm.gone)} of {CONNECTIONS} gone, {handed_back} messages "
        f"handed back, {repeats} posts repeated something, {unsure} were read and not answered, {counted} counted as "
        f"maybe; faults: {dict(storm.met)}"
    )


def ids(batches: int) -> list[str]:
    return [make_event(i, block=seq).id for seq in range(1, batches + 1) for i in (0, 1)]


def test_many_batches_leak_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"L{i:04d}abc=" for i in range(50)]
    storm = Storm(
        {subscription_partition("network:anvil", "any", 1): names}, Weather(throttled=0.002, failed=0.002), seed=1
    )
    (worker,) = shard_assignments(1, ())
    sizes, connections = [], []
    with function(storm, monkeypatch) as module:
        tracemalloc.start()
        for seq in range(1, LEAK_BATCHES + 1):
            assert module.handler({"Records": [record(worker, seq)]}, Context()) == {"batchItemFailures": []}
            storm.received.clear()
            if seq % (LEAK_BATCHES // 6) == 0:
                gc.collect()
                # Only memory of our modules counts, because pytest stores what the function prints.
                ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*/chaincast/*")])
                sizes.append(sum(trace.size for trace in ours.traces))
                connections.append(sum(isinstance(thing, Connection) for thing in gc.get_objects()))
        tracemalloc.stop()
        assert max(connections) <= module.management.pool._size + module.database.pool._size
    # The first measurement does not count, because the first batches fill caches. The pool opens more connections
    # when a response is late; they stay open for later batches.
    opened = max(0, connections[-1] - connections[1])
    assert sizes[-1] - sizes[1] < 20_000 + opened * CONNECTION_BYTES
    print("KiB after each sixth of the batches:", [round(size / 1024) for size in sizes])
