"""Kafka: `functions/kafka.py` as a fresh execution environment runs it, on moto, with the events that Lambda makes."""

from __future__ import annotations

import importlib
import json
import sys
from base64 import b64encode
from collections.abc import Iterator
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from chaincast.aws import boto_clients, environment
from tests.integration.helpers import logged, take_batches
from tests.lambda_functions import Context

Message: TypeAlias = dict[str, Any]  # parsed JSON

# As the producers of these topics document their messages.
PRICE = {
    "type": "price_update",
    "symbol": "BTC-USDC",
    "data": {"price": 45000.50, "change": 2.5, "volume": 1234567.89},
    "timestamp": 1_700_000_000_000,
}
TRADE = {
    "type": "trade_notification",
    "symbol": "ETH-USDC",
    "userId": "user-123",
    "data": {"price": 2500.0, "amount": 1.5, "side": "buy"},
    "timestamp": 1_700_000_000_000,
    "metadata": {"priority": "high", "traceId": "t-1"},
}
PORTFOLIO = {
    "type": "portfolio_update",
    "userId": "user-123",
    "data": {
        "totalValue": 50000.0,
        "pnl": 1250.5,
        "positions": [{"symbol": "BTC-USDC", "amount": 1.2, "value": 30000}],
    },
    "timestamp": 1_700_000_000_000,
}
ALERT = {
    "type": "system_alert",
    "data": {"level": "info", "message": "New token PEPE now available for trading"},
    "timestamp": 1_700_000_000_000,
}


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.setenv(environment.REJECTED_QUEUE, boto_clients.sqs().create_queue(QueueName="poison")["QueueUrl"])
    sys.modules.pop("functions.kafka", None)
    yield importlib.import_module("functions.kafka")
    sys.modules.pop("functions.kafka", None)


def record(topic: str, offset: int, value: object, partition: int = 0) -> Message:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    place = {"topic": topic, "partition": partition, "offset": offset, "timestampType": "CREATE_TIME"}
    return {**place, "timestamp": 1_700_000_000_000, "value": b64encode(data).decode(), "headers": []}


def deliver(kafka: ModuleType, *records: Message) -> list[Message]:
    by_partition: dict[str, list[Message]] = {}
    for entry in records:
        by_partition.setdefault(f"{entry['topic']}-{entry['partition']}", []).append(entry)
    event = {"eventSource": "SelfManagedKafka", "bootstrapServers": "broker.example:9092", "records": by_partition}
    found: list[Message] = kafka.handler(event, Context())["batchItemFailures"]
    return found


def poisoned() -> list[Message]:
    queue = boto_clients.sqs().get_queue_url(QueueName="poison")["QueueUrl"]
    messages = boto_clients.sqs().receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in messages]


def test_messages_of_each_topic_become_events(kafka: ModuleType) -> None:
    book = {"symbol": "ETH-USDC", "data": {"bids": [[2500.0, 1.5]], "asks": [[2501.0, 1.2]]}}  # no type: the topic's
    failures = deliver(
        kafka,
        record("price.updates", 7, PRICE),
        record("order.book.updates", 3, book),
        record("trade.notifications", 1, TRADE),
        record("portfolio.updates", 1, PORTFOLIO),
        record("system.alerts", 1, ALERT),
    )
    assert failures == []
    events = [event for batch in logged() for event in batch.events]
    assert [(event.kind, event.topics) for event in events] == [
        ("price", ("price:BTC-USDC",)),
        ("order_book", ("orderbook:ETH-USDC",)),
        ("trade", ("trade:ETH-USDC",)),
        ("trade", ("user:user-123",)),
        ("portfolio", ("portfolio:user-123", "user:user-123")),
        ("system.alert", ("system",)),
    ]
    assert events[2].data["metadata"] == TRADE["metadata"]
    assert take_batches() == logged()
    assert poisoned() == []


@pytest.mark.parametrize(
    ("value", "code", "words"),
    [
        (b"{oops", "BAD_JSON", "not JSON"),
        (b"[]", "BAD_MESSAGE", "not a JSON object"),
        (b"\xff", "BAD_JSON", "not JSON"),
        ({**PRICE, "type": "gossip"}, "UNKNOWN_TYPE", "gossip"),
        ({**PRICE, "data": {}}, "BAD_MESSAGE", "data.price"),
    ],
)
def test_a_poisoned_message_is_set_aside_with_its_cause_and_stops_nothing(
    kafka: ModuleType, value: object, code: str, words: str
) -> None:
    bad = record("price.updates", 8, value)
    assert deliver(kafka, record("price.updates", 7, PRICE), bad, record("price.updates", 9, PRICE)) == []
    assert [len(batch.events) for batch in logged()] == [2]
    (aside,) = poisoned()
    assert (aside["topic"], aside["partition"], aside["offset"]) == ("price.updates", 0, 8)
    assert aside["cause"]["code"] == code
    assert words in aside["cause"]["message"]
    assert aside["value"] == bad["value"]


def test_what_comes_again_is_told_with_the_same_ids(kafka: ModuleType) -> None:
    batch = [record("price.updates", offset, PRICE) for offset in (5, 6, 7)]
    deliver(kafka, *batch)
    deliver(kafka, *batch)
    assert len(logged()) == 1, "the very same messages"
    deliver(kafka, *batch[1:], record("price.updates", 8, PRICE))
    first, second = ([event.id for event in entry.events] for entry in logged())
    assert second[:2] == first[1:]


def test_more_than_a_transaction_holds_is_published_in_several_in_order(kafka: ModuleType) -> None:
    wide = {**PRICE, "data": {"price": 45000.50, "note": "x" * 95_000}}
    assert deliver(kafka, *(record("price.updates", offset, wide) for offset in range(60))) == []  # 5.7 MB
    events = [event for batch in logged() for event in batch.events]
    assert len(events) == 60
    assert len({event.id for event in events}) == 60
    assert poisoned() == []
    # Each lot is well below the 4 MB (and what one request may bring, 1 MB) that DynamoDB takes at once.
    by_seq: dict[int, int] = {}
    for batch in logged():
        by_seq[batch.seq] = by_seq.get(batch.seq, 0) + sum(len(json.dumps(event.data)) for event in batch.events)
    assert len(by_seq) == 9
    assert max(by_seq.values()) < 1_000_000


def test_a_fault_hands_its_partition_back_and_the_others_are_done(
    kafka: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = kafka.kafka_handler._service.publish_named

    def failing(named: list[tuple[str, object]], key: str | None, now: int) -> object:
        if "/1/" in named[0][0]:
            raise ConnectionError("no database")
        return take(named, key, now)

    monkeypatch.setattr(kafka.kafka_handler._service, "publish_named", failing)
    failures = deliver(
        kafka,
        record("price.updates", 3, PRICE),
        record("price.updates", 40, PRICE, partition=1),
        record("price.updates", 41, PRICE, partition=1),
        record("price.updates", 5, PRICE, partition=2),
    )
    assert failures == [{"itemIdentifier": {"partition": "price.updates-1", "offset": 40}}]
    assert [len(batch.events) for batch in logged()] == [1, 1]
