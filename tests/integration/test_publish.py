"""Publishing: `functions/http.py` as a fresh execution environment runs it, on moto."""

from __future__ import annotations

import importlib
import json
import sys
import threading
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import ModuleType
from typing import Any, TypeAlias

import pytest
from botocore.client import BaseClient

from chaincast.aws import boto_clients, environment
from chaincast.config.function_settings import Settings
from chaincast.fanout.queue import FanoutQueue
from chaincast.model.batches import Batch, EncodedBatch
from chaincast.model.events import Event
from chaincast.model.sharding import ShardAssignment
from chaincast.publishing.appender import Appender
from functions.composition import make_appender
from tests.factories import http_event
from tests.integration.helpers import items, logged, take_batches
from tests.lambda_functions import Context

Answer: TypeAlias = dict[str, Any]  # parsed JSON

PRICE = {"kind": "price", "symbol": "BTC", "data": {"price": 1.5}, "metadata": {"traceId": "trace-7"}}
NOW = 1_700_000_000_000


@pytest.fixture
def http() -> Iterator[ModuleType]:
    sys.modules.pop("functions.http", None)
    yield importlib.import_module("functions.http")
    sys.modules.pop("functions.http", None)


def post(
    http: ModuleType, body: object, key: str | None = None, path: str = "/publish", *, encoded: bool = False
) -> tuple[int, Answer]:
    text = body if isinstance(body, str) else json.dumps(body)
    headers = {} if key is None else {"idempotency-key": key}
    answer = http.handler(http_event("POST", path, headers=headers, body=text, encoded=encoded), Context())
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def event(i: int) -> Event:
    return Event(id=f"app-0:{i}", kind="price", timestamp=NOW, topics=("price:BTC",), data={"n": i})


def draft(told: Event, source: str = "app-0") -> Batch:
    return Batch(source=source, seq=0, timestamp=NOW, events=(told,))


def test_what_is_published_is_in_the_log_and_queued(http: ModuleType, caplog: pytest.LogCaptureFixture) -> None:
    status, answer = post(http, PRICE)
    assert (status, answer["accepted"]) == (200, 1)
    (result,) = answer["results"]
    assert (result["source"], result["cursor"]) == ("app-0", "000000000001")
    (batch,) = logged()
    (told,) = batch.events
    assert (told.id, told.topics, told.data["price"]) == (result["id"], ("price:BTC",), 1.5)
    assert take_batches() == [batch]
    assert [record.__dict__.get("trace_ids") for record in caplog.records] == [("trace-7",)]


def test_many_are_answered_one_by_one(http: ModuleType) -> None:
    status, answer = post(http, [PRICE, {**PRICE, "kind": "gossip"}, PRICE])
    assert (status, answer["accepted"]) == (207, 2)
    assert [result.get("code") for result in answer["results"]] == [None, "UNKNOWN_TYPE", None]
    assert [len(batch.events) for batch in logged()] == [2]
    status, answer = post(http, [{**PRICE, "kind": "gossip"}])
    assert (status, answer["accepted"], len(logged())) == (400, 0, 1)


def test_a_repeat_with_the_same_key_changes_nothing(http: ModuleType) -> None:
    _, first = post(http, [PRICE, PRICE], "key-1")
    status, second = post(http, [PRICE, PRICE], "key-1")
    assert (status, second["repeated"]) == (200, True)
    assert [r["id"] for r in second["results"]] == [r["id"] for r in first["results"]]
    assert len(logged()) == 1
    assert len(take_batches()) == 1
    status, answer = post(http, [PRICE], "key-1")
    assert (status, answer["code"]) == (409, "KEY_REUSED")
    assert post(http, [PRICE], "key-2")[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "BAD_JSON"),
        ("", 400, "BAD_JSON"),
        ([], 413, "TOO_MANY_EVENTS"),
        ([PRICE] * 501, 413, "TOO_MANY_EVENTS"),
        ('"' + "x" * 1_000_001 + '"', 413, "TOO_LARGE"),
    ],
)
def test_a_body_that_cannot_be_used_is_refused(http: ModuleType, body: object, status: int, code: str) -> None:
    found, answer = post(http, body)
    assert (found, answer["code"]) == (status, code)
    assert logged() == []


def test_other_bodies_keys_and_routes(http: ModuleType) -> None:
    encoded = b64encode(json.dumps(PRICE).encode()).decode()
    assert post(http, encoded, encoded=True)[0] == 200
    assert post(http, PRICE, "k" * 257)[1]["code"] == "BAD_MESSAGE"
    assert post(http, PRICE, path="/nowhere")[0] == 404


def test_a_fault_is_no_crash_and_tells_nothing(http: ModuleType) -> None:
    boto_clients.dynamodb().delete_table(TableName=environment.STATE.lower())
    status, answer = post(http, PRICE)
    assert (status, answer["code"]) == (500, "INTERNAL")
    assert "ResourceNotFound" not in answer["message"]


class Dying(FanoutQueue):
    """A queue that a publisher does not live to reach."""

    def send(self, part: EncodedBatch, assignments: object) -> None:
        raise SystemExit


def dying_appender(settings: Settings) -> Appender:
    appender = make_appender(settings)
    appender._queue = Dying(boto_clients.sqs(), "nowhere")
    return appender


def test_what_a_publisher_did_not_live_to_queue_is_queued_by_the_next(settings: Settings) -> None:
    make_appender(settings).append([draft(event(1))])
    for i in (2, 3):
        with pytest.raises(SystemExit):
            dying_appender(settings).append([draft(event(i))])
    make_appender(settings).append([draft(event(4))])
    batches = take_batches()
    assert [batch.seq for batch in batches] == [1, 2, 3, 4]
    assert batches == logged()


def test_and_by_the_heartbeat_if_nobody_comes(settings: Settings) -> None:
    with pytest.raises(SystemExit):
        dying_appender(settings).append([draft(event(1))])
    assert take_batches() == []
    assert make_appender(settings).requeue_missing("app-0") == 1
    assert [batch.seq for batch in take_batches()] == [1]
    assert make_appender(settings).requeue_missing("app-0") == 0


def test_a_repeat_after_such_a_death_queues_it(http: ModuleType, settings: Settings) -> None:
    http.http_handler._service._appender = dying_appender(settings)
    with pytest.raises(SystemExit):
        post(http, PRICE, "key-1")
    http.http_handler._service._appender = make_appender(settings)
    assert post(http, PRICE, "key-1")[1]["repeated"]
    assert [batch.seq for batch in take_batches()] == [1]


@pytest.fixture
def one_call_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto is not made for threads; what is tested is how calls of several publishers mix, not what goes on in one."""
    lock, call = threading.Lock(), BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's one way out

    def locked(self: BaseClient, *arguments: object) -> object:
        with lock:
            return call(self, *arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", locked)


@pytest.mark.usefixtures("one_call_at_a_time")
def test_publishers_at_once_each_get_a_number_and_the_queue_has_their_order(settings: Settings) -> None:
    gate = threading.Barrier(4)

    def publish(worker: int) -> None:
        appender = make_appender(settings)
        gate.wait()
        for i in range(8):
            appender.append([draft(event(worker * 100 + i))])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(publish, range(4)))
    batches = logged()
    assert [batch.seq for batch in batches] == list(range(1, 33))
    for worker in range(4):
        mine = [e.data["n"] for batch in batches for e in batch.events if int(str(e.data["n"])) // 100 == worker]
        assert mine == [worker * 100 + i for i in range(8)]
    # moto's deduplication is AWS's: what two publishers queued is there once.
    assert [batch.seq for batch in take_batches()] == list(range(1, 33))


def test_several_sources_are_appended_to_all_or_none(settings: Settings) -> None:
    appender = make_appender(settings)
    other = make_appender(settings)
    assert appender.append([draft(event(1)), draft(event(2), "app-1")]) == {"app-0": 1, "app-1": 1}
    other.append([draft(event(3), "app-1")])
    assert appender.append([draft(event(4)), draft(event(5), "app-1")]) == {"app-0": 2, "app-1": 3}
    assert len([item for item in items(environment.LOG) if item["source"]["S"] == "app-1"]) == 3


def test_after_a_change_of_shards_those_who_subscribed_before_are_still_found(settings: Settings) -> None:
    make_appender(settings).append([draft(event(1))])
    sent: list[list[ShardAssignment]] = []

    class Recording(FanoutQueue):
        def send(self, part: EncodedBatch, assignments: Any) -> None:
            sent.append(list(assignments))

    appender = make_appender(replace(settings, shards=2))
    appender._queue = Recording(boto_clients.sqs(), "nowhere")
    appender.append([draft(event(2))])
    assert [(w.shards, w.shard, w.row_shard_counts) for w in sent[0]] == [(2, 0, (1, 2)), (2, 1, (1, 2))]
