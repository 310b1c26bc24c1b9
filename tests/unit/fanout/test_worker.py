"""FanoutWorker with fakes: no environment, no AWS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from types import SimpleNamespace

from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.aws.lambda_events import SqsRecord
from chaincast.fanout.delivery import Report
from chaincast.fanout.messages import AwaitDrained, DeliverBatch, FanoutMessage, ShardDrained, encode_message
from chaincast.fanout.progress import DeliveredUpTo, DeliveryProgress
from chaincast.fanout.retries import DEADLINE_MARGIN_MS, GIVE_UP_CONNECTIONS, GIVE_UP_TRIES
from chaincast.fanout.worker import FanoutWorker
from chaincast.metrics.logger import make_logger
from chaincast.model.batches import Batch
from chaincast.model.sharding import ShardAssignment
from tests.factories import make_batch, make_event
from tests.unit.handler_fakes import CountingMetrics, RecordingConnectionApi

ASSIGNMENT = ShardAssignment(1, 0, (1,))


def batch(seq: int) -> Batch:
    return make_batch(make_event(0, block=seq), seq=seq, block=seq)


def record(message: FanoutMessage | str, group: str = "anvil#0", receives: int = 1) -> SqsRecord:
    body = message if isinstance(message, str) else encode_message(message)
    seq = 0 if isinstance(message, str) else message.batch.seq if isinstance(message, DeliverBatch) else message.seq
    return {
        "messageId": f"{group} {seq}",
        "receiptHandle": f"handle {seq}",
        "body": body,
        "attributes": {
            "MessageGroupId": group,
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": "1700000000000",
        },
    }


def deliver(seq: int, group: str = "anvil#0", receives: int = 1) -> SqsRecord:
    return record(DeliverBatch(ASSIGNMENT, batch(seq)), group, receives)


def incomplete(*deferred: str, max_connection_id: str | None = None) -> Report:
    attempt = DeliveredUpTo((1, 0), max_connection_id, frozenset(deferred), 1, 0)
    return Report(outcomes=Outcomes(deferred=[*deferred]), error="not reached", delivered_up_to=attempt)


class World:
    """A worker and its fakes. `reports`: the results of deliveries by the number of their first batch."""

    def __init__(self, reports: dict[int, Report] | None = None, *, drained: bool = True, shards: int = 1) -> None:
        self.reports = reports or {}
        self.delivered: list[tuple[list[int], ShardAssignment, DeliveryProgress]] = []
        self.stored: dict[str, DeliveryProgress] = {}
        self.recorded: list[ShardDrained] = []
        self.drained = drained
        self.retried: list[SqsRecord] = []
        self.removed: list[tuple[list[str], set[str], set[int]]] = []
        self.api = RecordingConnectionApi()
        self.metrics = CountingMetrics()
        self.worker = FanoutWorker(
            self, lambda: self, lambda: self, lambda: self, lambda: self.api, shards, self.metrics, make_logger("test")
        )

    def run(self, *records: SqsRecord, remaining_ms: int = 60_000) -> list[str]:
        """Return the ids of the failed messages."""
        response = asyncio.run(self.worker.handle({"Records": [*records]}, lambda: remaining_ms))
        failed = [failure["itemIdentifier"] for failure in response["batchItemFailures"]]
        assert failed == [record["messageId"] for record in self.retried]
        assert self.metrics.counts["BatchesRetried"] == len(failed)
        return failed

    async def deliver(
        self, batches: Sequence[Batch], assignment: ShardAssignment, progress: DeliveryProgress, seconds: float | None
    ) -> Report:
        self.delivered.append(([b.seq for b in batches], assignment, progress))
        return self.reports.get(batches[0].seq, Report(outcomes=Outcomes(posted=1)))

    def progress(self, group: str) -> DeliveryProgress:
        return self.stored.get(group, DeliveryProgress())

    def save_progress(self, group: str, progress: DeliveryProgress) -> None:
        self.stored[group] = progress

    def record_drained(self, message: ShardDrained) -> None:
        self.recorded.append(message)

    def all_drained(self, message: AwaitDrained) -> bool:
        return self.drained

    def retry_soon(self, records: Iterable[SqsRecord]) -> None:
        self.retried += records

    def remove_gone(
        self, connection_ids: Sequence[str], topics: Iterable[str] = (), shards: Iterable[int] = ()
    ) -> SimpleNamespace:
        self.removed.append(([*connection_ids], {*topics}, {*shards}))
        return SimpleNamespace(dialects=["chaincast.v1"] * len(connection_ids), writes=1)


def test_batches_of_a_group_are_delivered_as_one_and_counted() -> None:
    world = World()
    assert world.run(deliver(1), deliver(2), deliver(7, "bsc#0")) == []
    assert sorted(seqs for seqs, _, _ in world.delivered) == [[1, 2], [7]]
    assert world.metrics.counts["Batches"] == 3
    assert world.metrics.counts["Posts delivered"] == 2
    assert not world.stored


def test_a_batch_with_deferred_connections_is_retried_with_its_progress_and_all_after_it() -> None:
    world = World({1: incomplete("c")})
    other = record(DeliverBatch(ShardAssignment(2, 0, (2,)), batch(2)))
    assert world.run(deliver(1), other, deliver(7, "bsc#0")) == ["anvil#0 1", "anvil#0 2"]
    assert [seqs for seqs, _, _ in world.delivered] in ([[1], [7]], [[7], [1]])
    assert world.stored["anvil#0"].last_delivered("a") == (1, 0)
    assert world.stored["anvil#0"].last_delivered("c") is None


def test_a_retry_begins_with_the_stored_progress() -> None:
    world = World()
    world.stored["anvil#0"] = DeliveryProgress().after(DeliveredUpTo((1, 0), "m", frozenset(), 1, 0), (1, 0))
    assert world.run(deliver(1, receives=2)) == []
    assert world.delivered[0][2] == world.stored["anvil#0"]
    first = World()
    first.stored = world.stored
    assert first.run(deliver(1)) == []
    assert first.delivered[0][2] == DeliveryProgress()


def test_nothing_is_begun_within_the_deadline_margin() -> None:
    world = World()
    assert world.run(deliver(1), remaining_ms=DEADLINE_MARGIN_MS) == ["anvil#0 1"]
    assert world.delivered == []


def test_an_undecodable_message_is_retried_with_all_after_it() -> None:
    world = World()
    assert world.run(deliver(1), record("nonsense"), deliver(3)) == ["anvil#0 0", "anvil#0 3"]
    assert [seqs for seqs, _, _ in world.delivered] == [[1]]


def test_after_some_tries_a_few_unreachable_connections_are_closed_and_removed() -> None:
    world = World({1: incomplete("c", "d")})
    assert world.run(deliver(1, receives=GIVE_UP_TRIES)) == []
    assert world.api.closed == ["c", "d"]
    assert [ids for ids, _, _ in world.removed] == [["c", "d"]]
    assert world.metrics.counts["ConnectionsClosed chaincast.v1"] == 2


def test_many_unreachable_connections_or_an_unfinished_attempt_are_not_given_up() -> None:
    many = World({1: incomplete(*(f"c{i}" for i in range(GIVE_UP_CONNECTIONS + 1)))})
    assert many.run(deliver(1, receives=GIVE_UP_TRIES)) == ["anvil#0 1"]
    unfinished = World({1: incomplete("c", max_connection_id="m")})
    assert unfinished.run(deliver(1, receives=GIVE_UP_TRIES)) == ["anvil#0 1"]
    assert many.api.closed == unfinished.api.closed == []


def test_closed_connections_are_removed_where_their_rows_may_be() -> None:
    report = Report(outcomes=Outcomes(gone=["a"]), topics=("network:anvil",))
    world = World({1: report}, shards=4)
    assert world.run(deliver(1)) == []
    assert world.removed == [(["a"], {"network:anvil"}, {1, 4})]


def test_rows_under_the_shard_count_of_this_deployment_are_read_too() -> None:
    world = World(shards=4)
    assert world.run(deliver(1)) == []
    assert world.delivered[0][1] == ShardAssignment(1, 0, (1, 4))


def test_a_new_group_waits_until_the_previous_ones_are_drained() -> None:
    waiting = World(drained=False)
    messages = (record(AwaitDrained(ASSIGNMENT, "anvil", 7, 2)), deliver(8))
    assert waiting.run(*messages) == ["anvil#0 7", "anvil#0 8"]
    assert waiting.delivered == []
    ready = World()
    assert ready.run(*messages) == []
    assert [seqs for seqs, _, _ in ready.delivered] == [[8]]


def test_the_end_of_a_group_is_recorded_after_the_batches_before_it() -> None:
    drained = ShardDrained(ASSIGNMENT, "anvil", 2)
    world = World()
    assert world.run(deliver(1), deliver(2), record(drained)) == []
    assert world.recorded == [drained]
    failing = World({1: incomplete("c")})
    assert failing.run(deliver(1), record(drained)) == ["anvil#0 1", "anvil#0 2"]
    assert failing.recorded == []
