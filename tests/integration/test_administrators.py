"""Tests of the administrators' function on moto: pages of connections, and one with its subscriptions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chaincast.http_api.documents import ConnectionDetail, ConnectionPage
from tests.factories import http_event
from tests.integration.handlers import Management, connect, load, open_connection, send_message
from tests.lambda_functions import Context


def get(path: str, **query: str) -> tuple[int, dict[str, Any]]:
    answer = load("admin").handler(http_event("GET", path, query=query), Context())
    return answer["statusCode"], json.loads(answer["body"])


def test_connections_are_listed_page_by_page(management: Management) -> None:
    names = {f"c{number}" for number in range(7)}
    for name in names:
        open_connection(name, dialect="moonx")
    seen: list[str] = []
    after, pages = "", 0
    while pages < 10:
        code, document = get("/connections", limit="3", **({"after": after} if after else {}))
        page = ConnectionPage.model_validate(document)
        assert (code, len(page.connections) <= 3) == (200, True)
        seen += [connection.id for connection in page.connections]
        pages += 1
        if page.next is None:
            break
        after = page.next
    assert sorted(seen) == sorted(names)
    assert pages in (3, 4)


def test_a_connection_is_shown_with_its_subscriptions(management: Management) -> None:
    connect()
    send_message(
        load("message"), {"type": "subscribe", "topics": ["tokens:anvil", "trades:anvil:*"], "kinds": ["trade"]}
    )
    code, document = get("/connections/c1=")
    detail = ConnectionDetail.model_validate(document)
    assert (code, detail.id, detail.dialect, detail.user) == (200, "c1=", "chaincast.v1", None)
    assert [(s.topic, s.kinds) for s in detail.subscriptions] == [
        ("tokens:anvil", ["trade"]),
        ("trades:anvil:*", ["trade"]),
    ]


def test_a_connection_that_is_not_open_is_not_found(management: Management) -> None:
    code, document = get("/connections/gone")
    assert (code, document["code"]) == (404, "NOT_CONNECTED")
    assert "'gone'" in document["message"]


@pytest.mark.parametrize(("limit", "words"), [("0", "at least 1"), ("1001", "1000"), ("x", "integer")])
def test_an_invalid_page_size_is_refused(management: Management, limit: str, words: str) -> None:
    code, document = get("/connections", limit=limit)
    assert (code, document["code"]) == (400, "BAD_MESSAGE")
    assert "limit" in document["message"]
    assert words in document["message"]
