"""The lease: one listener writes a network at a time, whatever the others do."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError as AwsError

from chaincast.aws import environment
from chaincast.errors import LeaseLost
from chaincast.model.batches import Batch, EncodedBatch
from listener.sink import Sink
from tests.integration.helpers import expire_lease, items, logged, take_batches
from tests.integration.sinks import batch, started

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def test_only_one_listener_holds_the_lease(make_sink: object) -> None:
    first = started(make_sink, owner="one")
    second: Sink = make_sink(owner="two")  # type: ignore[operator]  # the fixture's function
    assert not second.take_over("anvil")
    first.close()
    assert second.take_over("anvil")


def test_a_process_that_wakes_after_its_lease_ended_queues_nothing(
    make_sink: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was paused between the append and the queue, which knows no fence; the new holder has queued the batch."""
    sink = started(make_sink, lease_seconds=15)
    append = sink._append

    def append_and_pause(appended: Batch) -> list[EncodedBatch]:
        parts = append(appended)
        woken = time.monotonic() + 20
        monkeypatch.setattr("chaincast.eventlog.lease.monotonic", lambda: woken)
        return parts

    monkeypatch.setattr(sink, "_append", append_and_pause)
    with pytest.raises(LeaseLost, match="not renewed in time"):
        sink.write(batch(1), [])
    assert take_batches() == []


def test_an_expired_lease_is_taken_over_and_the_old_holder_writes_nothing(make_sink: object) -> None:
    old = started(make_sink, owner="old")
    old.write(batch(1), [])
    expire_lease("anvil")
    new = started(make_sink, owner="new")
    state, log = items(environment.STATE), items(environment.LOG)
    with pytest.raises(LeaseLost):
        old.write(batch(2), [])
    for write in (old.renew_lease, old.close):
        with pytest.raises(LeaseLost):
            write()
    assert (items(environment.STATE), items(environment.LOG)) == (state, log)
    new.write(batch(2), [])
    assert logged() == [batch(1), batch(2)]


def test_an_earlier_life_of_the_same_owner_is_fenced_off_too(make_sink: object) -> None:
    old = started(make_sink, owner="same")
    new = started(make_sink, owner="same")
    with pytest.raises(LeaseLost):
        old.write(batch(1), [])
    new.write(batch(1), [])


def canceled(*reasons: str) -> AwsError:
    return AwsError(
        {
            "Error": {"Code": "TransactionCanceledException", "Message": ""},
            "CancellationReasons": [{"Code": reason} for reason in reasons],
        },
        "TransactWriteItems",
    )


def failing_first(client: DynamoDBClient, method: str, *errors: AwsError) -> AbstractContextManager[object]:
    """A client's method that raises some errors before it works."""
    left = list(errors)
    original = getattr(client, method)

    def call(**parameters: object) -> object:
        if left:
            raise left.pop(0)
        return original(**parameters)

    return patch.object(client, method, call)


def raised_as_modelled(client: DynamoDBClient, error: AwsError) -> AwsError:
    return client.exceptions.TransactionCanceledException(error.response, "TransactWriteItems")


def test_a_standby_that_asks_for_the_lease_does_not_stop_a_write(make_sink: object, database: DynamoDBClient) -> None:
    sink = started(make_sink)
    conflict = raised_as_modelled(database, canceled("TransactionConflict", "None"))
    with failing_first(database, "transact_write_items", conflict, conflict):
        sink.write(batch(1), [])
    assert logged() == [batch(1)]


def test_a_cancellation_for_another_reason_is_not_retried(make_sink: object, database: DynamoDBClient) -> None:
    sink = started(make_sink)
    invalid = raised_as_modelled(database, canceled("None", "ValidationError"))
    with (
        failing_first(database, "transact_write_items", invalid),
        pytest.raises(database.exceptions.TransactionCanceledException),
    ):
        sink.write(batch(1), [])
    assert logged() == []


def test_a_standby_that_meets_the_holders_transaction_waits(make_sink: object, database: DynamoDBClient) -> None:
    standby: Sink = make_sink(owner="two")  # type: ignore[operator]  # the fixture's function
    conflict = AwsError({"Error": {"Code": "TransactionConflictException", "Message": ""}}, "UpdateItem")
    with failing_first(database, "update_item", conflict):
        assert not standby.take_over("anvil")
