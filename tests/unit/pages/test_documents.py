"""The documents that a deployment serves: valid by their specifications, and true of the code."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import TypeAdapter

from chaincast.config.load import load
from chaincast.model.events import Event
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.socketio import messages
from infra.http_api import STATUS_PATHS
from local.stack.checkout import ROOT
from pages.asyncapi import asyncapi
from pages.openapi import openapi
from pages.page import page
from pages.samples import CHAINS, CLIENT_SAMPLES, EVENTS, server_samples
from pages.server_messages import ServerMessage
from tests.unit.protocol.sample_events import EVERYTHING

SPECIFICATION = ROOT / "tests" / "clients" / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"


@cache
def sockets() -> dict[str, Any]:
    return asyncapi()


@cache
def http() -> dict[str, Any]:
    return openapi(load(ROOT / "chaincast.toml").settings(local=True).to_json())


def test_the_asyncapi_document_is_one() -> None:
    if not SPECIFICATION.exists():
        pytest.skip("the specification comes with the tests' npm packages: make clients")
    schema = json.loads(SPECIFICATION.read_text())
    errors = [f"{error.json_path}: {error.message[:200]}" for error in Draft7Validator(schema).iter_errors(sockets())]
    assert errors == []


@pytest.mark.parametrize("document", [sockets, http])
def test_every_reference_leads_somewhere(document: Any) -> None:
    whole = document()
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole)))
    assert references
    for reference in references:
        found = whole
        for part in reference.split("/"):
            found = found[part.replace("~1", "/")]


@pytest.mark.parametrize("dialect", registry.NAMES)
def test_what_it_says_that_clients_client_is_understood(dialect: str) -> None:
    codec = registry.get(dialect, CHAINS)
    for _, text in CLIENT_SAMPLES[dialect]:
        codec.decode(text.encode(), 10_000, 50)


def test_every_verb_of_socket_io_is_described() -> None:
    described = {name.partition(" ")[0] for name in messages.MODELS}
    assert described == messages._VERBS.keys()
    assert {name for name, _ in CLIENT_SAMPLES["socketio"]} == messages.MODELS.keys()


def resolved(schema: dict[str, Any]) -> Draft202012Validator:
    """A validator of a part of the document, whose references lead into the whole."""
    return Draft202012Validator({**schema, "components": sockets()["components"]})


def test_every_example_is_what_its_schema_says() -> None:
    for name, message in sockets()["components"]["messages"].items():
        validator = resolved(message["payload"])
        for example in message.get("examples", []):
            assert [error.message for error in validator.iter_errors(example["payload"])] == [], name


def test_everything_that_the_encoder_writes_is_as_its_models_say() -> None:
    adapter: TypeAdapter[object] = TypeAdapter(ServerMessage)
    for _, text in server_samples("chaincast.v1"):
        adapter.validate_json(text)
    codec = registry.get("chaincast.v1", CHAINS)
    for event in (*EVENTS, *EVERYTHING):
        fragment = codec.event_fragment(event)
        assert fragment is not None
        adapter.validate_json(codec.events_message("anvil", "000000000001", "", [fragment]))
    retraction = codec.retraction_fragment("anvil:1:00000000:0")
    assert retraction is not None
    adapter.validate_json(codec.retractions_message("anvil", "000000000001", [retraction]))


def test_every_protocol_is_there_with_what_goes_each_way() -> None:
    document = sockets()
    assert set(document["channels"]) == set(registry.NAMES)
    assert {operation["action"] for operation in document["operations"].values()} == {"receive", "send"}
    assert len(document["operations"]) == 2 * len(registry.NAMES)
    assert all(operation["messages"] for operation in document["operations"].values())


def test_every_route_is_described_with_who_may_call_it() -> None:
    paths = http()["paths"]
    routes = {(method.upper(), path) for path, node in paths.items() for method in node}
    assert routes == {
        ("POST", "/publish"),
        ("POST", "/ticket"),
        ("GET", "/connections"),
        ("GET", "/connections/{id}"),
        ("DELETE", "/connections/{id}"),
        ("DELETE", "/users/{user}/connections"),
        *(("GET", path) for path in STATUS_PATHS if path != "/docs"),
    }
    guarded = {path for path, node in paths.items() if all("security" in operation for operation in node.values())}
    assert guarded == {
        "/publish", "/ticket", "/connections", "/connections/{id}", "/users/{user}/connections", "/metrics", "/status",
    }  # fmt: skip


class _Reader(HTMLParser):
    """A parser that collects ids, links, tags that are still open, and references to other hosts."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.foreign: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids |= {found["id"] or ""} if "id" in found else set()
        self.links |= {found["href"] or ""} if "href" in found else set()
        if tag in ("script", "iframe", "link", "img") or "src" in found:
            self.foreign.append(tag)
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_stands_by_itself() -> None:
    reader = _Reader()
    text = page(sockets(), http())
    reader.feed(text)
    assert (reader.open, reader.foreign) == ([], [])
    assert {link.removeprefix("#") for link in reader.links if link.startswith("#")} <= reader.ids
    assert {link for link in reader.links if not link.startswith("#")} == {"docs/asyncapi.json", "docs/openapi.json"}
    for message in sockets()["components"]["messages"].values():
        assert message["title"] in text


def test_what_is_in_a_document_cannot_become_markup() -> None:
    hostile = json.loads(json.dumps(sockets()).replace("Listen to topics", "<script>alert(1)</script>"))
    assert "<script>" not in page(hostile, http())


def test_samples_are_of_every_kind_that_they_say() -> None:
    assert all(isinstance(event, Event) for event in EVENTS)
    for dialect in registry.NAMES:
        named = {name for name, _ in server_samples(dialect)}
        assert {"subscribed", "error", "events" if dialect == registry.DEFAULT else "trade"} <= named
