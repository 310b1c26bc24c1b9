"""Tests of connect, disconnect and message as new execution environments, on moto."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from chaincast.aws import boto_clients, environment
from chaincast.aws.lambda_events import WebSocketEvent
from chaincast.eventlog.history_store import History
from chaincast.jobs.messages import Greet, parse_job
from chaincast.model.batches import Batch
from chaincast.model.events import Event
from chaincast.model.topics import alert_topics, chain_topics
from tests.integration.handlers import event, load
from tests.integration.helpers import items
from tests.lambda_functions import Context

Answer: TypeAlias = dict[str, Any]  # parsed JSON

NOW = 1_700_000_000_000


def make_event(kind: str, body: str | None = None, **extra: Any) -> WebSocketEvent:
    changed = event(kind, body)
    changed["requestContext"]["requestTimeEpoch"] = NOW
    changed.update(extra)  # type: ignore[typeddict-item]  # what API Gateway adds, in a test's words
    return changed


def connect(**extra: Any) -> dict[str, Any]:
    answer: dict[str, Any] = load("connect").handler(make_event("CONNECT", None, **extra), Context())
    return answer


def send_message(module: ModuleType, message: object, **extra: Any) -> Answer:
    body = message if isinstance(message, str) else json.dumps(message)
    answer = module.handler(make_event("MESSAGE", body, **extra), Context())
    assert answer["statusCode"] == 200
    parsed: Answer = json.loads(answer["body"])
    return parsed


def test_connecting_records_the_connection_and_enqueues_a_greeting() -> None:
    assert connect(headers={"Origin": "https://app.example"}) == {"statusCode": 200}
    record = items(environment.CONNECTIONS)[0]
    assert record["origin"]["S"] == "https://app.example"
    assert record["source_ip"]["S"] == "203.0.113.9"
    message = boto_clients.sqs().receive_message(QueueUrl=os.environ[environment.LIFECYCLE_QUEUE])["Messages"][0]
    assert parse_job(message["Body"]) == Greet("c1=", "chaincast.v1")


def test_a_subprotocol_is_confirmed_and_a_wrong_dialect_refused() -> None:
    answer = connect(headers={"sec-websocket-protocol": "chaincast.v1"})
    assert answer["headers"] == {"Sec-WebSocket-Protocol": "chaincast.v1"}
    refused = connect(queryStringParameters={"dialect": "nope"})
    assert refused["statusCode"] == 400
    assert "UNKNOWN_DIALECT" in refused["body"]


def test_a_forbidden_client_is_refused_before_anything_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(os.environ["CHAINCAST_SETTINGS"])
    rules = {"origins": ["https://app.example"], "deny_ips": ["203.0.113.9/32"]}
    monkeypatch.setenv("CHAINCAST_SETTINGS", json.dumps({**document, **rules}))
    for origin, code in (("https://evil.example", "FORBIDDEN_ORIGIN"), ("https://app.example", "FORBIDDEN_ADDRESS")):
        refused = connect(headers={"Origin": origin})
        assert refused["statusCode"] == 403
        assert code in refused["body"]
    assert items(environment.CONNECTIONS) == []


def test_a_message_named_like_a_lifecycle_route_does_nothing() -> None:
    connect()
    assert load("connect").handler(make_event("MESSAGE"), Context()) == {"statusCode": 200}
    assert load("disconnect").handler(make_event("MESSAGE"), Context()) == {"statusCode": 200}
    assert len(items(environment.CONNECTIONS)) == 1


def test_a_client_subscribes_pings_unsubscribes_and_disconnects() -> None:
    connect()
    message = load("message")
    subscribed = send_message(message, {"type": "subscribe", "id": 1, "topics": ["trades:ANVIL:*"]})
    assert subscribed == {"type": "subscribed", "id": 1, "topics": ["trades:anvil:*"]}
    assert {i["topic_shard"]["S"] for i in items(environment.SUBSCRIPTIONS)} == {"trades:anvil:*#1.0", "connection/c1="}
    assert send_message(message, {"type": "ping", "id": 2})["type"] == "pong"
    assert (
        send_message(message, {"type": "unsubscribe", "id": 3, "topics": ["trades:anvil:*"]})["type"] == "unsubscribed"
    )
    load("disconnect").handler(make_event("DISCONNECT"), Context())
    assert items(environment.CONNECTIONS) == items(environment.SUBSCRIPTIONS) == []


def test_a_binary_message_is_decoded() -> None:
    connect()
    body = b64encode(b'{"type":"ping"}').decode()
    assert send_message(load("message"), body, isBase64Encoded=True)["type"] == "pong"
    broken = b64encode(b"\xff{}").decode()
    assert send_message(load("message"), broken, isBase64Encoded=True)["code"] == "BAD_UTF8"


def test_a_lone_surrogate_is_bad_utf8() -> None:
    connect()
    assert send_message(load("message"), "\ud800")["code"] == "BAD_UTF8"


def test_a_connection_without_a_record_must_connect_again() -> None:
    assert send_message(load("message"), {"type": "ping"})["code"] == "NOT_CONNECTED"
    assert items(environment.CONNECTIONS) == []


def test_an_internal_error_is_answered_and_logged_not_raised(caplog: pytest.LogCaptureFixture) -> None:
    connect()
    message = load("message")
    boto_clients.dynamodb().delete_table(TableName=environment.SUBSCRIPTIONS.lower())
    answer = send_message(message, {"type": "subscribe", "id": 9, "topics": ["system"]})
    assert (answer["code"], answer["id"]) == ("INTERNAL", 9)
    assert "ResourceNotFound" not in answer["message"]
    assert "ResourceNotFoundException" in caplog.text


TOKEN, CONTRACT = "0x" + "ab" * 20, "0x" + "cd" * 20


def past(count: int, kind: str = "trade", **fields: Any) -> None:
    """Write a history of one event per block: trades of a token, or events of a contract with alternating names."""
    batches = []
    for number in range(1, count + 1):
        data = {"event": "Paid" if number % 3 else "Refunded", **fields}
        event = Event(
            id=f"anvil:{number}:00000000:0",
            kind=kind,
            timestamp=NOW,
            topics=alert_topics(str(fields["type"]), "anvil", TOKEN)
            if kind == "alert"
            else chain_topics(kind, "anvil", CONTRACT, TOKEN),
            data=data,
            block=number,
            tx_hash="0x00",
            log_index=0,
            contract=CONTRACT,
            token=TOKEN,
        )
        batches.append(Batch(source="anvil", seq=number, timestamp=NOW, events=(event,), block=number))
    History(boto_clients.dynamodb(), environment.HISTORY.lower(), 3600).add(batches)


def blocks_of(answer: Answer) -> list[int]:
    return [event["block"] for event in answer["events"]]


def test_recent_trades_come_newest_first_and_page_by_page() -> None:
    connect()
    past(45)
    message = load("message")
    request = {"type": "get", "id": 1, "what": "trades", "network": "anvil", "token": TOKEN.upper().replace("0X", "0x")}
    first = send_message(message, request)
    assert (first["type"], first["id"], first["what"]) == ("history", 1, "trades")
    assert blocks_of(first) == list(range(45, 25, -1))
    assert first["events"][0]["kind"] == "trade"
    second = send_message(message, {**request, "limit": 25, "before": first["before"]})
    assert blocks_of(second) == list(range(25, 0, -1))
    assert second["before"] is None
    assert send_message(message, {**request, "token": CONTRACT})["events"] == []


def test_a_contracts_history_can_be_filtered_by_event_names() -> None:
    connect()
    past(30, "contract.event")
    request = {"type": "get", "what": "history", "network": "anvil", "contract": CONTRACT, "limit": 4}
    page = send_message(load("message"), {**request, "events": ["Refunded"]})
    assert blocks_of(page) == [30, 27, 24, 21]
    page = send_message(load("message"), {**request, "events": ["Refunded"], "before": page["before"], "limit": 100})
    assert blocks_of(page) == [18, 15, 12, 9, 6, 3]
    assert page["before"] is None
    assert blocks_of(send_message(load("message"), request)) == [30, 29, 28, 27]


def test_a_reply_stays_below_api_gateways_limit_and_says_where_to_continue() -> None:
    connect()
    past(12, "contract.event", blob="x" * 20_000)
    request = {"type": "get", "what": "history", "network": "anvil", "contract": CONTRACT, "limit": 100}
    seen: list[int] = []
    before = None
    while True:
        answer = send_message(load("message"), {**request, "before": before})
        assert len(json.dumps(answer)) < 120_000
        seen += blocks_of(answer)
        before = answer["before"]
        if before is None:
            break
    assert seen == list(range(12, 0, -1))


def test_a_search_for_a_rare_name_ends_and_can_be_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chaincast.eventlog.history_store.LOOKED_THROUGH", 20)
    monkeypatch.setattr("chaincast.eventlog.history_store.READ", 10)
    connect()
    past(50, "contract.event")
    request = {"type": "get", "what": "history", "network": "anvil", "contract": CONTRACT, "events": ["Never"]}
    answer = send_message(load("message"), request)
    assert (answer["events"], answer["before"]) == ([], "000000000031.000000.00")


def test_new_tokens_come_from_the_networks_history() -> None:
    connect()
    past(3, "token.created")
    answer = send_message(load("message"), {"type": "get", "what": "tokens", "network": "anvil", "limit": 2})
    assert blocks_of(answer) == [3, 2]


def test_a_tokens_price_statistics_and_snapshot() -> None:
    connect()
    message, ask = load("message"), {"type": "get", "network": "anvil", "token": TOKEN}
    assert send_message(message, {**ask, "what": "price"})["event"] is None
    assert send_message(message, {**ask, "what": "stats"})["stats"] == {"trades": 0, "as_of": None}
    past(3)
    past(5, "price", price_usd="1.5", trades=7, volume_24h="9", change_24h=1.5)
    assert send_message(message, {**ask, "what": "price"})["event"]["block"] == 5
    stats = send_message(message, {**ask, "what": "stats"})["stats"]
    assert (stats["trades"], stats["price_usd"], stats["as_of"]) == (7, "1.5", NOW)
    assert (stats["volume_24h"], stats["change_24h"]) == ("0", 0.0), "that day is over"
    confirmed = send_message(message, {"type": "subscribe", "topics": [f"token:anvil:{TOKEN}", "token:anvil:*"]})
    assert list(confirmed["now"]) == [f"token:anvil:{TOKEN}"]
    now = confirmed["now"][f"token:anvil:{TOKEN}"]
    assert (now["price"]["block"], now["latest_trade"]["block"]) == (5, 3)


def test_a_contracts_events_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    connect()
    past(30, "contract.event")
    request = {"type": "get", "what": "stats", "network": "anvil", "contract": CONTRACT}
    stats = send_message(load("message"), request)["stats"]
    assert (stats["events"], stats["by_type"], stats["complete"]) == (30, {"Refunded": 10, "Paid": 20}, True)
    assert (stats["events_24h"], stats["by_type_24h"], stats["first"], stats["last"]) == (0, {}, NOW, NOW)
    monkeypatch.setattr("chaincast.sessions.command_handler.MAX_STATS_EVENTS", 12)
    stats = send_message(load("message"), request)["stats"]
    assert (stats["events"], stats["complete"]) == (12, False)


def test_alerts_are_stored_by_network_and_type() -> None:
    connect()
    past(2, "alert", type="rug")
    ask = {"type": "get", "what": "alerts", "network": "anvil"}
    assert blocks_of(send_message(load("message"), {**ask, "alert": "rug"})) == [2, 1]
    assert send_message(load("message"), {**ask, "alert": "whale"})["events"] == []


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"what": "price", "network": "anvil"}, "BAD_MESSAGE", "token is missing"),
        ({"what": "stats", "network": "anvil"}, "BAD_MESSAGE", "token or contract is missing"),
        ({"what": "stats", "network": "anvil", "token": TOKEN, "contract": TOKEN}, "BAD_MESSAGE", "are both given"),
        ({"what": "stats", "network": "moon", "token": TOKEN}, "UNKNOWN_NETWORK", "'moon'"),
        ({"what": "price", "network": "moon", "token": TOKEN}, "UNKNOWN_NETWORK", "'moon'"),
        ({"what": "alerts", "network": "anvil"}, "BAD_MESSAGE", "alert is missing"),
        ({"what": "trades", "network": "anvil"}, "BAD_MESSAGE", "token is missing"),
        ({"what": "history", "network": "anvil"}, "BAD_MESSAGE", "contract is missing"),
        ({"what": "gossip", "network": "anvil"}, "BAD_MESSAGE", "what is 'gossip'"),
        ({"what": "tokens", "network": "anvil", "limit": 101}, "BAD_MESSAGE", "limit is 101"),
        ({"what": "tokens", "network": "anvil", "limit": 0}, "BAD_MESSAGE", "limit is 0"),
        ({"what": "tokens", "network": "anvil", "before": "yesterday"}, "BAD_MESSAGE", "before is 'yesterday'"),
        ({"what": "tokens", "network": "*"}, "BAD_TOPIC", "name the network"),
        ({"what": "trades", "network": "anvil", "token": "*"}, "BAD_TOPIC", "'*' is not allowed"),
        ({"what": "trades", "network": "anvil", "token": "a:b"}, "BAD_TOPIC", "malformed"),
        ({"what": "tokens", "network": "moon"}, "UNKNOWN_NETWORK", "'moon'"),
        ({"what": "tokens"}, "BAD_MESSAGE", "network"),
    ],
)
def test_an_invalid_get_is_refused_with_a_reason(fields: dict[str, object], code: str, words: str) -> None:
    connect()
    answer = send_message(load("message"), {"type": "get", "id": "x", **fields})
    assert (answer["type"], answer["id"], answer["code"]) == ("error", "x", code)
    assert words in answer["message"]
