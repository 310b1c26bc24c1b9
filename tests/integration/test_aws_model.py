"""Tests of the model of AWS: its tables respond as moto's do, and its limits are those of the documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from chaincast.aws import environment
from tests.aws_model.gateway import BUFFER_BYTES, FRAME_BYTES, IDLE_SECONDS, LIFE_SECONDS, MESSAGE_BYTES, Gateway
from tests.aws_model.queues import Queue
from tests.aws_model.tables import WRITE_UNITS, Table, Tables

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NAMES = {"#a": "after", "#t": "token"}
UPDATES: tuple[Mapping[str, Any], ...] = (
    {"UpdateExpression": "SET seen = :n", "ConditionExpression": "attribute_not_exists(#a) AND seen < :n"},
    {"UpdateExpression": "SET seen = if_not_exists(seen, :n), since = :n REMOVE #a, #t"},
    {"UpdateExpression": "SET #a = :n", "ConditionExpression": "(since = :n OR #t = :s) AND seen <= :n"},
    {
        "UpdateExpression": "SET #t = :s, passed = :n",
        "ConditionExpression": "attribute_not_exists(passed) OR passed < :n",
    },
    {"UpdateExpression": "ADD stalled :n SET seen = seen + :n", "ConditionExpression": "attribute_exists(seen)"},
    {"UpdateExpression": "ADD topics :set"},
    {"UpdateExpression": "DELETE topics :set"},
    {
        "UpdateExpression": "SET since = :n",
        "ConditionExpression": "NOT begins_with(#t, :s) AND since BETWEEN :n AND :n",
    },
)
"""Updates as the project's code has them, and some others."""


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def requests(dice: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield random requests on a few items of table Subscriptions."""
    table = environment.SUBSCRIPTIONS.lower()
    for _ in range(400):
        key = {"topic_shard": {"S": dice.choice("ab")}, "connection_id": {"S": dice.choice("123")}}
        kind = dice.choice(["UpdateItem"] * 6 + ["PutItem", "DeleteItem", "GetItem", "Query"])
        values = {
            ":n": {"N": str(dice.randint(0, 3))},
            ":s": {"S": dice.choice("xy")},
            ":set": {"SS": [dice.choice("pq")]},
        }
        if kind == "UpdateItem":
            change = dice.choice(UPDATES)
            text = " ".join(change.values())
            names = {name: attribute for name, attribute in NAMES.items() if name in text}
            yield (
                kind,
                {
                    "TableName": table,
                    "Key": key,
                    **change,
                    "ExpressionAttributeValues": {n: v for n, v in values.items() if re.search(rf"{n}\b", text)},
                    **({"ExpressionAttributeNames": names} if names else {}),
                    "ReturnValues": dice.choice(["NONE", "ALL_OLD", "ALL_NEW"]),
                },
            )
        elif kind == "PutItem":
            yield kind, {"TableName": table, "Item": {**key, "seen": values[":n"]}, "ReturnValues": "ALL_OLD"}
        elif kind == "Query":
            yield (
                kind,
                {
                    "TableName": table,
                    "KeyConditionExpression": "topic_shard = :k",
                    "ExpressionAttributeValues": {":k": key["topic_shard"]},
                    "ScanIndexForward": dice.random() < 0.5,
                    "Limit": dice.choice([1, 2, 10]),
                },
            )
        else:
            yield kind, {"TableName": table, "Key": key}


@pytest.mark.parametrize("seed", range(6))
def test_tables_respond_as_moto_does(seed: int, database: DynamoDBClient) -> None:
    tables = Tables({environment.SUBSCRIPTIONS.lower(): Table("topic_shard", "connection_id")}, Clock(), limited=False)
    client: Any = database
    calls: dict[str, Callable[..., Any]] = {
        "UpdateItem": client.update_item,
        "PutItem": client.put_item,
        "DeleteItem": client.delete_item,
        "GetItem": client.get_item,
        "Query": client.query,
    }
    statuses = set()
    for operation, request in requests(Random(seed)):
        status, document = tables.respond(operation, request)
        statuses.add(status)
        try:
            expected, code = calls[operation](**request), ""
        except ClientError as error:
            expected, code = {}, error.response["Error"]["Code"]
        found = document.get("__type", "").rpartition("#")[2]
        assert (status, found) == (400 if code else 200, code), (request, document)
        if code:
            continue
        for part in ("Attributes", "Item", "Items", "LastEvaluatedKey"):
            assert normal(document.get(part)) == normal(expected.get(part)), (operation, request)
    assert statuses == {200, 400}


def normal(value: Any) -> Any:
    """Return a value with sorted sets, and without an empty container."""
    if isinstance(value, dict):
        return {name: sorted(inner) if name == "SS" else normal(inner) for name, inner in value.items()} or None
    return [normal(inner) for inner in value] if isinstance(value, list) else value


def test_a_partition_takes_a_thousand_writes_a_second_and_others_are_not_affected() -> None:
    clock = Clock()
    tables = Tables({"t": Table("k", "s")}, clock)

    def write(partition: str) -> int:
        status, _ = tables.respond("PutItem", {"TableName": "t", "Item": {"k": {"S": partition}, "s": {"S": "1"}}})
        return status

    assert [write("hot") for _ in range(int(WRITE_UNITS) + 2)].count(400) == 2
    assert (write("cold"), tables.throttled) == (200, 2)
    clock.now += 0.0105
    assert [write("hot") for _ in range(12)].count(200) == 10


def test_expired_items_remain_until_they_are_deleted_in_no_order() -> None:
    tables = Tables({"t": Table("k", "s")}, Clock(), limited=False)
    for number in range(100):
        item = {"k": {"S": "a"}, "s": {"S": f"{number:03d}"}, "expires_at": {"N": str(number)}}
        tables.respond("PutItem", {"TableName": "t", "Item": item})
    assert 20 < tables.expire(60, Random(1), 0.5) < 40
    _, page = tables.respond(
        "Query", {"TableName": "t", "KeyConditionExpression": "k = :k", "ExpressionAttributeValues": {":k": {"S": "a"}}}
    )
    left = [int(item["s"]["S"]) for item in page["Items"]]
    assert left[-40:] == [*range(60, 100)]
    assert left[0] < 60, "some that have expired are still there"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_connection_is_not_open_before_its_handshake_ends(clock: Clock) -> None:
    gateway = Gateway(clock)
    gateway.connect("a", handshake_seconds=0.1)
    assert gateway.request("POST", "a", b"x") == 410
    clock.now += 0.1
    assert gateway.request("POST", "a", b"x") == 200
    assert [body for _, body in gateway.clients["a"].received] == [b"x"]


def test_the_buffer_of_a_client_that_does_not_read_becomes_full_and_empties_when_it_reads(clock: Clock) -> None:
    gateway = Gateway(clock)
    gateway.connect("never", bytes_per_second=0.0)
    gateway.connect("slow", bytes_per_second=1_000.0)
    half = b"x" * (BUFFER_BYTES // 2)
    for name in ("never", "slow"):
        assert [gateway.request("POST", name, half) for _ in range(3)] == [200, 200, 429]
    clock.now += len(half) / 1_000
    assert [gateway.request("POST", name, half) for name in ("never", "slow")] == [429, 200]
    assert gateway.request("POST", "slow", b"x" * (MESSAGE_BYTES + 1)) == 413


def test_the_accounts_quota_refuses_requests_of_all_connections(clock: Clock) -> None:
    gateway = Gateway(clock, rate=100.0, burst=5.0)
    gateway.connect("a")
    assert [gateway.request("GET", "a") for _ in range(7)] == [200] * 5 + [429] * 2
    clock.now += 0.025
    assert [gateway.request("GET", "a") for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(("seconds", "active"), [(IDLE_SECONDS, False), (LIFE_SECONDS, True)])
def test_idle_and_old_connections_are_closed(seconds: float, active: bool, clock: Clock) -> None:
    gateway = Gateway(clock)
    gateway.connect("a")
    for _ in range(int(seconds / 100) - 1):
        clock.now += 100
        if active:
            assert gateway.send("a", 10)
    assert "a" not in gateway.closed
    clock.now += 100
    assert gateway.request("POST", "a", b"x") == 410
    assert gateway.closed["a"][1] == 1001


def test_a_frame_that_is_too_long_closes_its_connection(clock: Clock) -> None:
    gateway = Gateway(clock)
    gateway.connect("a")
    assert gateway.send("a", FRAME_BYTES)
    assert not gateway.send("a", FRAME_BYTES + 1)
    assert gateway.closed["a"][1] == 1009
    assert gateway.request("DELETE", "a") == 410


def test_messages_of_a_queue_come_after_their_delay_and_again_unless_deleted(clock: Clock) -> None:
    queue = Queue(clock, visibility=60.0)
    queue.respond("SendMessage", {"MessageBody": "later", "DelaySeconds": 5})
    queue.respond("SendMessageBatch", {"Entries": [{"Id": "0", "MessageBody": "now"}]})

    def receive() -> list[tuple[str, str, str]]:
        messages = queue.respond("ReceiveMessage", {"MaxNumberOfMessages": 10}).get("Messages", [])
        return [(m["Body"], m["Attributes"]["ApproximateReceiveCount"], m["ReceiptHandle"]) for m in messages]

    ((body, count, handle),) = receive()
    assert (body, count) == ("now", "1")
    clock.now += 5
    assert [entry[:2] for entry in receive()] == [("later", "1")]
    queue.respond("DeleteMessage", {"ReceiptHandle": handle})
    clock.now += 60
    assert [entry[:2] for entry in receive()] == [("later", "2")]
    assert queue.left == 1
