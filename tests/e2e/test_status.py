"""Tests of the deployment's status pages, compared with the counts of clients and of a load generator."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from chaincast.http_api.documents import Health
from chaincast.status.status_handler import FRESH_SECONDS
from local.commands.fleet import Fleet
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.client import SECONDS, Client
from tests.e2e.test_crashes import wait_until
from tests.e2e.test_publish import price, publisher

CLIENTS, EVENTS = 30, 40

COUNTERS = [
    f"chaincast_{name}_total"
    for name in (
        "connections_opened",
        "connections_closed",
        "messages_in",
        "messages_out",
        "events_published",
        "events_delivered",
    )
]
"""The counters that are compared with the load generator's."""


def fetch(stack: LocalStack, path: str, token: str = "") -> tuple[int, str]:
    request = urllib.request.Request(stack.outputs.http_url + path)
    if token:
        request.add_header("authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics_token(stack: LocalStack) -> str:
    """The secret that the stack made."""
    client = session().client("secretsmanager", endpoint_url=endpoint(stack))
    names = [secret["Name"] for secret in client.list_secrets()["SecretList"] if "MetricsToken" in secret["Name"]]
    return str(client.get_secret_value(SecretId=names[0])["SecretString"])


def scraped(stack: LocalStack, token: str) -> dict[str, float]:
    """Sums of the figures over their labels; of messages out, what fan-out posted by itself."""
    status, text = fetch(stack, "/metrics", token)
    assert status == 200, text
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.endswith(("_bucket", "_created")):
                continue
            found[sample.name] = found.get(sample.name, 0) + sample.value
            if sample.labels.get("by") == "fanout":
                found["fanout"] = sample.value
    return found


def since(stack: LocalStack, token: str, before: dict[str, float]) -> dict[str, float]:
    after = scraped(stack, token)
    return {name: value - before.get(name, 0) for name, value in after.items()}


def at_rest(stack: LocalStack, token: str) -> dict[str, float]:
    """Return the figures once they stay the same: what earlier tests did is counted a moment after clients see it."""

    def counters() -> dict[str, float]:
        found = scraped(stack, token)
        return {name: found.get(name, 0.0) for name in COUNTERS}

    found = [counters()]

    def is_still() -> bool:
        time.sleep(FRESH_SECONDS + 1)  # younger figures are the same ones
        found.append(counters())
        return found[-1] == found[-2]

    wait_until(is_still)
    return scraped(stack, token)


def settled(stack: LocalStack, token: str, before: dict[str, float], is_so: Callable[[dict[str, float]], bool]) -> None:
    """Wait until the figures are so: a scrape may show what was found some seconds ago."""
    wait_until(lambda: is_so(since(stack, token, before)))


async def test_figures_scraped_during_load_are_what_the_load_generator_counted(
    stack: LocalStack, monkeypatch: Any
) -> None:
    token = metrics_token(stack)
    before = await asyncio.to_thread(at_rest, stack, token)
    fleet = Fleet(stack.outputs.websocket_url, lambda number: (f"price:FIG{number % 4}",))
    try:
        await fleet.grow(CLIENTS, 20)
        with publisher(stack, monkeypatch) as backend:
            for number in range(EVENTS):
                fleet.expect(f"price:FIG{number % 4}")
                assert await asyncio.to_thread(backend.publish, price(f"FIG{number % 4}", float(number))) == []
        await fleet.wait_complete(SECONDS)
        tally = fleet.tally
        assert (tally.connected, tally.share, tally.lost) == (CLIENTS, 1.0, 0)

        def agrees(found: dict[str, float]) -> bool:
            return found["fanout"] >= tally.delivered and found["chaincast_messages_in_total"] >= tally.sent

        await asyncio.to_thread(settled, stack, token, before, agrees)
        found = await asyncio.to_thread(since, stack, token, before)
        assert found["chaincast_connections"] == found["chaincast_connections_opened_total"] == CLIENTS
        assert found["chaincast_subscriptions"] == CLIENTS
        assert found["chaincast_messages_in_total"] == tally.sent
        assert found["chaincast_messages_out_total"] == tally.messages
        assert found["chaincast_events_delivered_total"] == found["chaincast_events_published_total"] == EVENTS
        assert found["fanout"] == tally.delivered
        await fleet.close()
        await asyncio.to_thread(settled, stack, token, before, lambda found: found["chaincast_connections"] == 0)
        found = await asyncio.to_thread(since, stack, token, before)
        assert found["chaincast_subscriptions"] == 0
        assert found["chaincast_connections_closed_total"] == CLIENTS
    finally:
        await fleet.close()  # its sockets would fail the next test


async def test_everything_that_a_deployment_has_is_well(stack: LocalStack) -> None:
    async with Client(stack.outputs.websocket_url) as client:
        await client.message("connected")

        def is_well() -> bool:
            status, body = fetch(stack, "/health")
            health = Health.model_validate_json(body)
            listener = health.services.listeners["anvil"].status  # "late", because its node mines only on demand
            return status == 200 and health.connections > 0 and health.services.publish and listener != "silent"

        await asyncio.to_thread(wait_until, is_well)
    status, body = fetch(stack, "/lb/status")
    assert (status, json.loads(body)["status"]) == (200, "healthy")


async def test_the_documents_are_served(stack: LocalStack) -> None:
    assert json.loads(fetch(stack, "/docs/asyncapi.json")[1])["asyncapi"] == "3.0.0"
    assert "/metrics" in json.loads(fetch(stack, "/docs/openapi.json")[1])["paths"]
    status, page = fetch(stack, "/docs")
    assert status == 200
    assert page.startswith("<!doctype html>")
    assert "subscribe" in page
    assert fetch(stack, "/metrics")[0] == fetch(stack, "/status", "wrong")[0] == 401
