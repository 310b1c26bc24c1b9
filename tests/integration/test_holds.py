"""Tests of holds: in every order of their requests, fan-out and replay agree on who delivers a batch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import orjson
import pytest

from chaincast.aws import environment
from chaincast.aws.fast.service_client import Response
from chaincast.fanout.holds_reader import HoldReader
from chaincast.model.holds import HoldKey
from chaincast.model.sharding import ShardAssignment
from chaincast.replay.holds import HoldReleased, Holds
from tests.hold_writes import hold
from tests.integration.helpers import items
from tests.integration.scripted import database_response

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Side = Literal["fan-out", "replay"]

NOW = 1_700_000_000_000
KEY = HoldKey("a", "anvil", 1, "t")
WORKER = ShardAssignment(1, 0, (1,))
LOG = 2
"""The newest batch in the event log."""


class Turns:
    """Lets two threads send their requests in a given order. A thread with nothing left to send is skipped."""

    def __init__(self, order: list[Side]) -> None:
        self._order = order
        self._changed = threading.Condition()
        self._done: set[Side] = set()

    def take(self, side: Side, send: Callable[[], Any]) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: not self._left or self._left[0] == side, 60)
            try:
                return send()
            finally:
                if self._left:
                    self._order.remove(side)
                self._changed.notify_all()

    @property
    def _left(self) -> list[Side]:
        return [side for side in self._order if side not in self._done]

    def end(self, side: Side) -> None:
        with self._changed:
            self._done.add(side)
            self._changed.notify_all()


class ReplayClient:
    """DynamoDB as the replay uses it, in turns."""

    def __init__(self, client: DynamoDBClient, turns: Turns) -> None:
        self._client = client
        self._turns = turns
        self.exceptions = client.exceptions

    def update_item(self, **parameters: Any) -> Any:
        return self._turns.take("replay", lambda: self._client.update_item(**parameters))

    def get_item(self, **parameters: Any) -> Any:
        return self._turns.take("replay", lambda: self._client.get_item(**parameters))


class FanoutClient:
    """DynamoDB as fan-out uses it, in turns."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def post(self, path: str, body: bytes, headers: tuple[tuple[str, str], ...]) -> Response:
        operation = dict(headers)["x-amz-target"].rpartition(".")[2]
        status, answer = self._turns.take("fan-out", lambda: database_response(operation, orjson.loads(body), None))
        return Response(status, answer)


def table() -> str:
    return environment.SUBSCRIPTIONS.lower()


def orders() -> Iterator[list[Side]]:
    """Return all orders of the four or five requests of each side."""
    for places in combinations(range(9), 4):
        yield ["fan-out" if place in places else "replay" for place in range(9)]


def replayed(holds: Holds, at: int) -> list[int]:
    """Replay from batch `at` on, as chaincast/replay/replayer.py does: release, and read on until that succeeds."""
    delivered = []
    while not holds.release(KEY, at):
        delivered += list(range(at + 1, LOG + 1))
        at = LOG
    return delivered


@pytest.mark.parametrize("owner", ["replay", "token"])
def test_in_every_order_of_requests_a_batch_is_delivered_once(owner: str, database: DynamoDBClient) -> None:
    passed = released = 0
    for order in orders():
        place(database, owner)
        turns = Turns([*order])
        delivered: list[int] = []

        def replay(turns: Turns = turns, delivered: list[int] = delivered) -> None:
            client: Any = ReplayClient(database, turns)
            delivered += replayed(Holds(client, table()), 1)
            turns.end("replay")

        thread = threading.Thread(target=replay)
        thread.start()
        client: Any = FanoutClient(turns)
        left = asyncio.run(HoldReader(client, table()).left_to_replay("anvil", WORKER, ["a"], LOG))
        turns.end("fan-out")
        thread.join(60)
        assert left in ({"a": None}, {"a": 1}, {"a": LOG}), order
        assert delivered == ([] if left["a"] == 1 else [LOG]), order
        passed += left["a"] is None
        released += left["a"] == 1
    assert passed
    assert released


def place(database: DynamoDBClient, owner: str) -> None:
    """Place a hold that begins after batch 0. With `owner` "token" it is one of version 1.0."""
    for item in items(environment.SUBSCRIPTIONS):
        key = {name: item[name] for name in ("topic_shard", "connection_id")}
        database.delete_item(TableName=table(), Key=key)
    hold(database, table(), KEY, 0, NOW)
    if owner == "token":
        (item,) = items(environment.SUBSCRIPTIONS)
        database.put_item(TableName=table(), Item={**item, "token": item["replay"]})
        key = {name: item[name] for name in ("topic_shard", "connection_id")}
        database.update_item(TableName=table(), Key=key, UpdateExpression="REMOVE replay")


def test_a_batch_costs_one_write_however_many_connections_resume(database: DynamoDBClient) -> None:
    names = [f"c{number:03d}" for number in range(300)]
    for name in names:
        hold(database, table(), HoldKey(name, "anvil", 1, "t"), 0, NOW)
    operations: list[str] = []

    class Client:
        async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
            operations.append(dict(headers)["x-amz-target"].rpartition(".")[2])
            return Response(*database_response(operations[-1], orjson.loads(body), None))

    client: Any = Client()
    reader = HoldReader(client, table())
    left = asyncio.run(reader.left_to_replay("anvil", WORKER, [*names, "other"], 7))
    assert left == dict.fromkeys(names)
    assert operations == ["Query", "UpdateItem", "Query"]
    asyncio.run(reader.left_to_replay("anvil", WORKER, names, 7))
    assert operations == ["Query", "UpdateItem", "Query", "Query"], "a retry, or another page, only reads"


def test_a_replay_of_another_token_has_no_say(database: DynamoDBClient) -> None:
    holds, other = Holds(database, table()), HoldKey("a", "anvil", 1, "other")
    hold(database, table(), KEY, 0, NOW)
    for act in (lambda: holds.release(other, 5), lambda: holds.advance(other, 5)):
        with pytest.raises(HoldReleased):
            act()
    holds.remove(other)
    assert (holds.since(other), holds.since(KEY)) == (None, (0, False))
