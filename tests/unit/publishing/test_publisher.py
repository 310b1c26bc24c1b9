"""Tests of `Publisher` with a server whose responses are scripted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chaincast.publish import Item, Publisher, PublishError, Refused


class Server:
    """Answers with the statuses in `script`, then with 200; refuses items whose kind is `bad`."""

    def __init__(self) -> None:
        self.script: list[int] = []
        self.requests: list[tuple[dict[str, str], list[Any]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                items = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.requests.append(({k.lower(): v for k, v in self.headers.items()}, items))
                status = server.script.pop(0) if server.script else 200
                results = [
                    {"code": "UNKNOWN_TYPE", "message": "unknown"} if item["kind"] == "bad" else {"id": "x"}
                    for item in items
                ]
                answer = {"accepted": 1, "results": results} if status == 200 else {"code": "X", "message": "no"}
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def items(self) -> list[Any]:
        return [item for _, items in self.requests for item in items]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def token() -> str:
    return "secret"


def item(number: int, kind: str = "price") -> Item:
    return {"kind": kind, "symbol": "BTC", "data": {"price": number}}


def test_a_request_is_tried_again_under_the_same_key(server: Server) -> None:
    server.script = [503, 500]
    with Publisher(server.url, token=token) as publisher:
        assert publisher.publish(item(1)) == []
        assert publisher.publish(item(2)) == []
    keys = [headers["idempotency-key"] for headers, _ in server.requests]
    assert len(keys) == 4
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert {headers["authorization"] for headers, _ in server.requests} == {"Bearer secret"}


def test_requests_are_signed_where_there_is_no_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Publisher(server.url, region="eu-central-1") as publisher:
        publisher.publish(item(1))
    assert "/eu-central-1/execute-api/aws4_request" in server.requests[0][0]["authorization"]


def test_what_is_refused_is_named_with_its_cause(server: Server) -> None:
    told: list[Refused] = []
    with Publisher(server.url, token=token, on_refused=told.append) as publisher:
        (refused,) = publisher.publish(item(1), item(2, "bad"), item(3))
        assert (refused.item, refused.code) == (item(2, "bad"), "UNKNOWN_TYPE")
        publisher.send(item(4, "bad"))
    assert [entry.item for entry in told] == [item(4, "bad")]


@pytest.mark.parametrize("publish", [Publisher.publish, Publisher.send])
def test_what_is_sent_arrives_in_order_and_in_requests_that_are_not_too_large(
    server: Server, publish: Callable[..., object]
) -> None:
    items = [item(number) for number in range(1_201)]
    large = [{"kind": "x", "symbol": "S", "data": {"blob": "y" * 90_000}} for _ in range(15)]
    with Publisher(server.url, token=token, linger=0.0) as publisher:
        if publish is Publisher.publish:
            publisher.publish(*items, *large)
        else:
            for entry in [*items, *large]:
                publisher.send(entry)
    assert server.items == [*items, *large]
    assert all(len(found) <= 500 and len(json.dumps(found)) < 1_000_000 for _, found in server.requests)


def test_a_refusal_for_good_is_an_error_now_and_at_the_next_chance(server: Server) -> None:
    server.script = [403]
    publisher = Publisher(server.url, token=token)
    with pytest.raises(PublishError, match="X: no") as error:
        publisher.publish(item(1))
    assert error.value.status == 403
    server.script = [403]
    publisher.send(item(2))
    with pytest.raises(PublishError):
        publisher.flush()
    with pytest.raises(PublishError):
        publisher.send(item(3))
    with pytest.raises(PublishError):
        publisher.close()
    with pytest.raises(PublishError):
        publisher.send(item(4))


def test_nobody_there_is_an_error_when_patience_ends() -> None:
    with (
        Publisher("http://127.0.0.1:1", token=token, timeout=0.2) as publisher,
        pytest.raises(PublishError, match=r"127\.0\.0\.1"),
    ):
        publisher.publish(item(1))


def test_what_is_no_json_is_refused_at_once(server: Server) -> None:
    with Publisher(server.url, token=token) as publisher:
        with pytest.raises(TypeError):
            publisher.send({"kind": "price", "data": {"price": object()}})
        publisher.send(item(1))
    assert server.items == [item(1)]


def test_without_credentials_it_says_so(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with Publisher(server.url) as publisher, pytest.raises(PublishError, match="NO_CREDENTIALS"):
        publisher.publish(item(1))
