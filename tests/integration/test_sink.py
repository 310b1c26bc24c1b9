"""The listener's writes, with a crash at every point between two of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from chaincast.aws import environment
from chaincast.errors import CursorTaken, LeaseLost
from chaincast.eventlog.checkpoint import Checkpoint
from chaincast.eventlog.contract_store import Contracts
from chaincast.eventlog.history_store import History
from chaincast.eventlog.lease import Lease
from chaincast.fanout.messages import DeliverBatch
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.discovered_contracts import Discovery
from listener.reorg import Fork
from listener.sink import Sink
from listener.sources.base import Block
from tests.factories import make_batch, make_event
from tests.integration.helpers import expire_lease, items, logged, take_batches, take_work
from tests.integration.sinks import batch, started

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_sqs import SQSClient

FOUND = [Discovery("launchpad 0xf", "0xmarket", 1, {"token": "0xt", "name": "N", "symbol": "S"})]


class Crash(BaseException):
    """The process dies here: nothing catches this."""


def test_a_batch_is_in_history_log_and_queue_and_moves_the_checkpoint(make_sink: object) -> None:
    sink = started(make_sink)
    sink.write(batch(1), FOUND)
    assert sink.checkpoint == Checkpoint(1, 1, 11, batch(1).block_hash)
    assert logged() == [batch(1)] == take_batches()
    assert [i["position"]["S"] for i in items(environment.HISTORY)] == [
        "000000000011.000000.00",
        "000000000011.000001.00",
    ]
    assert list(sink.discoveries()) == FOUND


def test_a_restart_goes_on_where_it_stopped(make_sink: object) -> None:
    sink = started(make_sink)
    sink.write(batch(1), [])
    sink.close()
    again = started(make_sink, owner="another")
    assert again.checkpoint == Checkpoint(1, 1, 11, batch(1).block_hash)


STEPS = {
    "contracts": (Contracts, "put"),
    "history": (History, "add"),
    "append": (Lease, "commit"),
    "send": (FanoutQueue, "send"),
    "remove": (History, "remove_retracted"),
}


@contextmanager
def crash(step: str, *, after: bool) -> Iterator[None]:
    """Die right before or right after a step's write."""
    owner, name = STEPS[step]
    original = getattr(owner, name)

    def dying(*args: object, **kwargs: object) -> object:
        if after:
            original(*args, **kwargs)
        raise Crash

    with patch.object(owner, name, dying), pytest.raises(Crash):
        yield


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", [step for step in STEPS if step != "remove"])
def test_a_crash_at_any_step_loses_and_doubles_nothing(make_sink: object, step: str, after: bool) -> None:
    sink = started(make_sink)
    sink.write(batch(1), [])
    with crash(step, after=after):
        sink.write(batch(2), FOUND)

    again = started(make_sink)
    if again.checkpoint.seq == 1:
        again.write(batch(2), FOUND)
    again.write(batch(3), [])

    assert logged() == [batch(1), batch(2), batch(3)]
    assert take_batches() == [batch(1), batch(2), batch(3)]
    assert len(items(environment.HISTORY)) == 6
    assert list(again.discoveries()) == FOUND


def test_what_was_logged_and_not_queued_is_queued_at_the_next_start(make_sink: object) -> None:
    sink = started(make_sink)
    with crash("send", after=False):
        sink.write(batch(1), [])
    assert take_batches() == []
    assert started(make_sink).checkpoint.queued == 1
    assert take_batches() == [batch(1)]


def test_a_long_batch_is_several_items_of_one_number(make_sink: object) -> None:
    sink = started(make_sink)
    data = {"text": "x" * 100_000}
    long = replace(batch(1), events=tuple(make_event(i, block=11, data=dict(data)) for i in range(10)))
    sink.write(long, [])
    parts = logged()
    assert len(parts) == 4
    assert [e for p in parts for e in p.events] == list(long.events)
    assert take_batches() == parts
    assert started(make_sink).checkpoint.seq == 1


def test_each_shard_gets_the_batch(make_sink: object) -> None:
    started(make_sink, shards=3).write(batch(1), [])
    assert take_batches() == [batch(1)] * 3


def summary() -> list[tuple[str, str, int]]:
    """The queue's messages: what it is, of which worker, about which batch."""
    return [
        (
            type(work).__name__,
            f"{work.assignment.shards}.{work.assignment.shard}",
            work.batch.seq if isinstance(work, DeliverBatch) else work.seq,
        )
        for work in take_work()
    ]


def test_another_number_of_shards_closes_the_old_groups_and_opens_the_new(make_sink: object) -> None:
    started(make_sink).write(batch(1), [])
    sink = started(make_sink, shards=2)
    sink.write(batch(2), [])
    assert sorted(summary()) == [
        ("AwaitDrained", "2.0", 1),
        ("AwaitDrained", "2.1", 1),
        ("DeliverBatch", "1.0", 1),
        ("DeliverBatch", "2.0", 2),
        ("DeliverBatch", "2.1", 2),
        ("ShardDrained", "1.0", 1),
    ]
    sink.close()
    sink = started(make_sink, shards=2)
    sink.write(batch(3), [])
    assert sorted(summary()) == [("DeliverBatch", "2.0", 3), ("DeliverBatch", "2.1", 3)]
    sink.close()
    back = started(make_sink, shards=1)
    back.write(batch(4), [])
    assert ("AwaitDrained", "1.0", 3) in (messages := summary())
    assert messages[-1] == ("DeliverBatch", "1.0", 4)


@pytest.mark.parametrize("calls", range(1, 8))
def test_a_change_of_shards_survives_a_crash_at_any_call(
    make_sink: object, calls: int, database: DynamoDBClient, queues: SQSClient
) -> None:
    """Batches that are in the event log but not marked as queued go to the old shards."""
    started(make_sink).write(batch(1), [])
    sink: Sink = make_sink(shards=2)  # type: ignore[operator]  # the fixture's function
    with suppress(Crash), crash_at_call(calls, (database, "update_item"), (queues, "send_message")):
        sink.take_over("anvil")
    sink = started(make_sink, shards=2)
    sink.write(batch(2), [])
    messages = summary()
    assert {m for m in messages if m[0] == "DeliverBatch"} == {
        ("DeliverBatch", "1.0", 1),
        ("DeliverBatch", "2.0", 2),
        ("DeliverBatch", "2.1", 2),
    }
    assert {m for m in messages if m[0] != "DeliverBatch"} == {
        ("ShardDrained", "1.0", 1),
        ("AwaitDrained", "2.0", 1),
        ("AwaitDrained", "2.1", 1),
    }
    old = [m for m in messages if m[1] == "1.0"]
    assert old.index(("DeliverBatch", "1.0", 1)) < old.index(("ShardDrained", "1.0", 1))
    for shard in ("2.0", "2.1"):
        mine = [m[0] for m in messages if m[1] == shard]
        assert mine.index("AwaitDrained") < mine.index("DeliverBatch")


@contextmanager
def crash_at_call(number: int, *functions: tuple[object, str]) -> Iterator[None]:
    """Crash instead of the so-manieth call, counted over all of these functions."""
    left = [number]

    def guarded(real: Callable[..., object]) -> Callable[..., object]:
        def call(**parameters: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return real(**parameters)

        return call

    with ExitStack() as stack:
        for client, name in functions:
            stack.enter_context(patch.object(client, name, guarded(getattr(client, name))))
        yield


def test_a_number_is_never_overwritten(make_sink: object) -> None:
    sink = started(make_sink)
    sink.write(batch(1), [])
    sink.checkpoint = Checkpoint()
    with pytest.raises(CursorTaken):
        sink.write(replace(batch(1), events=()), [])
    assert logged() == [batch(1)]


def block(number: int) -> Block:
    return Block(number, f"0x{number:064x}", "0x", 1_700_000_000)


def test_empty_blocks_move_the_checkpoint_now_and_then_and_at_the_end(make_sink: object) -> None:
    sink = started(make_sink)
    sink.start_after(9, -1)
    before = items(environment.STATE)
    sink.skip(block(10))
    assert items(environment.STATE) == before
    sink.renew_lease()
    assert started(make_sink).checkpoint.block == 10
    with patch("listener.sink.EMPTY_BLOCKS_SECONDS", 0):
        again = started(make_sink)
        again.skip(block(11))
    assert started(make_sink).checkpoint == Checkpoint(0, 0, 11, block(11).hash)


def test_a_backfill_goes_to_history_and_contracts_and_to_no_client(make_sink: object) -> None:
    sink = started(make_sink)
    sink.start_after(9, 40)
    sink.backfill([replace(batch(0), block=11), replace(batch(1), block=12)], FOUND, block(20))
    assert len(items(environment.HISTORY)) == 4
    assert (items(environment.LOG), take_batches()) == ([], [])
    sink.close()
    again = started(make_sink)
    assert (again.checkpoint.block, again.checkpoint.seq, again.backfill_to) == (20, 0, 40)
    assert list(again.discoveries()) == FOUND


def test_a_listener_that_began_at_the_head_goes_on_from_there(make_sink: object) -> None:
    started(make_sink).start_after(1000, -1)
    assert started(make_sink).checkpoint.block == 1000


def test_some_kinds_are_kept_for_another_time(database: DynamoDBClient) -> None:
    history = History(database, environment.HISTORY.lower(), 7 * 86_400, {"price": 3_600})
    told = make_batch(make_event(0), make_event(1, kind="price"))
    history.add([told])
    kept = {item["topic"]["S"].partition(":")[0]: int(item["expires_at"]["N"]) for item in items(environment.HISTORY)}
    assert kept == {"trades": told.timestamp // 1000 + 7 * 86_400, "prices": told.timestamp // 1000 + 3_600}


def history_ids() -> set[str]:
    """Return the ids of all events in history."""
    return {json.loads(bytes(item["event"]["B"]))["id"] for item in items(environment.HISTORY)}


def test_history_has_nothing_of_a_listener_that_lost_its_lease(make_sink: object) -> None:
    """A paused listener goes on with a block that its successor has seen replaced."""
    paused = started(make_sink, owner="a")
    paused.write(batch(1), [])
    expire_lease("anvil")
    successor = started(make_sink, owner="b")
    canonical = make_batch(make_event(3, block=12), seq=2, block=12)
    successor.write(canonical, [])
    stale = make_batch(make_event(7, block=12), seq=2, block=12)
    with pytest.raises(LeaseLost):
        paused.write(stale, [Discovery("launchpad 0xf", "0xphantom", 12, {"token": "0xp"})])
    assert history_ids() == {event.id for logged_batch in logged() for event in logged_batch.events}


@pytest.mark.parametrize("step", ["contracts", "append"])
def test_after_a_crash_nothing_is_left_of_a_block_that_another_one_replaced(make_sink: object, step: str) -> None:
    sink = started(make_sink)
    sink.write(batch(1), [])
    phantom = Discovery("launchpad 0xf", "0xphantom", 12, {"token": "0xp"})
    with crash(step, after=step == "contracts"):
        sink.write(batch(2), [phantom])
    again = started(make_sink)
    again.write(make_batch(make_event(5, block=12), seq=2, block=12), [])
    assert history_ids() == {event.id for logged_batch in logged() for event in logged_batch.events}
    assert list(again.discoveries()) == []


@pytest.mark.parametrize("step", ["append", "remove", "send"])
def test_a_reorganisation_that_a_crash_interrupts_is_completed(make_sink: object, step: str) -> None:
    sink = started(make_sink)
    sink.write(batch(1), [])
    sink.write(batch(2), [])
    take_batches()
    ancestor = Block(number=11, hash=batch(1).block_hash or "", parent_hash="0x", timestamp=5)
    fork = Fork(ancestor, tuple(reversed(batch(2).events)), 5)
    with crash(step, after=step == "append"):
        sink.retract("anvil", fork)
    again = started(make_sink)
    assert history_ids() == {event.id for event in batch(1).events}
    assert [retraction.id for retraction in take_batches()[-1].retracted] == [
        event.id for event in reversed(batch(2).events)
    ]
    replacing = make_batch(make_event(5, block=12), seq=again.checkpoint.seq + 1, block=12)
    again.write(replacing, [])
    assert history_ids() == {event.id for event in (*batch(1).events, *replacing.events)}
