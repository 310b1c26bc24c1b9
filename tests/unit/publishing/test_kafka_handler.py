"""Tests of the Kafka handler with a fake service: rejected messages, failures of a partition, chunks, repeats."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from chaincast.aws.lambda_events import KafkaBatchResponse
from chaincast.errors import Code, RequestError
from chaincast.metrics.logger import make_logger
from chaincast.publishing.items import MAX_ITEMS
from chaincast.publishing.kafka_handler import MAX_CHUNK_CHARACTERS, KafkaHandler
from chaincast.publishing.service import NamedItem, PublishResult
from tests.unit.handler_fakes import NOW, CountingMetrics

PRICE = {"type": "price_update", "symbol": "BTC", "data": {"price": 1}}


class World:
    """A handler with a fake service, which refuses symbol `BAD` and fails at symbol `DOWN`."""

    def __init__(self) -> None:
        self.published: list[tuple[list[str], str | None]] = []
        self.rejected: list[dict[str, Any]] = []
        self.used_keys: set[str] = set()
        self.metrics = CountingMetrics()
        self.handler = KafkaHandler(self, self.reject, self.metrics, make_logger("test"), lambda: NOW)

    def publish_named(self, named: Sequence[NamedItem], key: str | None, now_ms: int) -> PublishResult:
        if key in self.used_keys:
            raise RequestError(Code.KEY_REUSED, "used")
        symbols = [item["symbol"] for _, item in named if isinstance(item, dict)]
        if "DOWN" in symbols:
            raise ConnectionError("no database")
        self.published.append(([name for name, _ in named], key))
        return PublishResult(
            tuple({"code": "BAD_MESSAGE", "message": "refused"} if s == "BAD" else {"id": s} for s in symbols)
        )

    def reject(self, body: str) -> None:
        self.rejected.append(json.loads(body))

    def handle(self, **partitions: list[object]) -> KafkaBatchResponse:
        """Handle messages by partition `pN`. A bytes value is sent as it is, any other as JSON."""
        records = {
            f"prices-{name[1:]}": [
                {
                    "topic": "prices",
                    "partition": int(name[1:]),
                    "offset": offset,
                    "value": b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode(),
                }
                for offset, value in enumerate(values)
            ]
            for name, values in partitions.items()
        }
        event: Any = {"eventSourceArn": "arn:cluster", "records": records}
        return self.handler.handle(event)


def failed(response: KafkaBatchResponse) -> list[tuple[object, object]]:
    return [
        (failure["itemIdentifier"]["partition"], failure["itemIdentifier"]["offset"])
        for failure in response["batchItemFailures"]
    ]


def test_messages_are_published_with_names_of_their_offsets() -> None:
    world = World()
    assert failed(world.handle(p0=[PRICE, PRICE])) == []
    assert world.published == [(["kafka/arn:cluster/prices/0/0", "kafka/arn:cluster/prices/0/1"], "kafka/prices-0/0-1")]
    assert world.metrics.counts["EventsPublished"] == 2


def test_a_message_that_cannot_be_published_is_rejected_with_its_reason_and_stops_no_other() -> None:
    world = World()
    assert failed(world.handle(p0=[b"\xff", PRICE, {**PRICE, "symbol": "BAD"}])) == []
    assert [(r["offset"], r["cause"]["code"]) for r in world.rejected] == [(0, "BAD_JSON"), (2, "BAD_MESSAGE")]
    assert world.rejected[0]["value"] == b64encode(b"\xff").decode()
    assert (world.metrics.counts["EventsPublished"], world.metrics.counts["KafkaMessagesRejected"]) == (1, 2)


def test_a_failure_returns_its_partition_from_there_on_and_no_other() -> None:
    world = World()
    response = world.handle(p0=[PRICE], p1=[{**PRICE, "symbol": "DOWN"}, PRICE], p2=[PRICE])
    assert failed(response) == [("prices-1", 0)]
    assert world.metrics.counts["EventsPublished"] == 2
    assert world.metrics.counts["KafkaPartitionsRetried"] == 1


def test_chunks_that_were_published_before_a_failure_are_not_returned() -> None:
    world = World()
    response = world.handle(p0=[*([PRICE] * MAX_ITEMS), {**PRICE, "symbol": "DOWN"}])
    assert failed(response) == [("prices-0", MAX_ITEMS)]


def test_long_messages_are_published_in_several_chunks() -> None:
    world = World()
    long = {**PRICE, "data": {"price": 1, "note": "x" * (MAX_CHUNK_CHARACTERS // 2)}}
    world.handle(p0=[long, long, long])
    assert [len(names) for names, _ in world.published] == [1, 1, 1]


def test_a_key_of_other_messages_is_left_out_because_ids_recognise_repeats() -> None:
    world = World()
    world.used_keys.add("kafka/prices-0/0-0")
    world.handle(p0=[PRICE])
    assert [key for _, key in world.published] == [None]


def test_a_rejected_value_is_cut_to_what_the_queue_takes() -> None:
    world = World()
    world.handle(p0=[b"\xff" * 900_000])
    assert world.rejected[0]["truncated"] is True
    assert len(world.rejected[0]["value"]) == 700_000
