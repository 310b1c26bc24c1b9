"""A test that a deployment under load loses no event."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from local.commands.fleet import Fleet
from local.commands.load import trade
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.checkout_copy import CheckoutCopy
from tests.e2e.client import SECONDS
from tests.e2e.test_publish import publisher

CLIENTS, AFTERWARDS = 20, 30

VISIBILITY_SECONDS = 10
"""Visibility timeout of the fan-out queue in this test, instead of two minutes.

When the code of a function changes, the emulator kills its processes, whereas AWS lets invocations finish. Their
messages are received again after this time.
"""


def versions(stack: LocalStack) -> dict[str, str]:
    """Return the hash of each deployed function's code."""
    client: Any = session().client("lambda", endpoint_url=endpoint(stack))
    return {f["FunctionName"]: f["CodeSha256"] for f in client.list_functions()["Functions"]}


def visibility(stack: LocalStack, seconds: str) -> str:
    """Set the visibility timeout of the fan-out queue, and return the previous one."""
    client = session().client("sqs", endpoint_url=endpoint(stack))
    url = stack.outputs.listener_environment["CHAINCAST_FANOUT_QUEUE_URL"]
    before = client.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": seconds})
    return before["VisibilityTimeout"]


async def test_a_deployment_under_load_loses_no_event(stack: LocalStack, tmp_path: Path, monkeypatch: Any) -> None:
    checkout = CheckoutCopy.create(tmp_path / "checkout")
    for name in ("fanout", "message", "http", "disconnect"):
        checkout.append(f"functions/{name}.py", f"\nANOTHER_VERSION = {time.time_ns()}\n")
    fleet = Fleet(stack.outputs.websocket_url, lambda number: (f"trade:DEP{number % 4}",))
    await fleet.grow(CLIENTS, 20)
    before = await asyncio.to_thread(versions, stack)
    previous = await asyncio.to_thread(visibility, stack, str(VISIBILITY_SECONDS))

    async def deploy() -> float:
        began = time.monotonic()
        await asyncio.to_thread(checkout.deploy, stack.emulator.port)
        return time.monotonic() - began

    deploying = asyncio.create_task(deploy())
    sent, left = 0, AFTERWARDS
    with publisher(stack, monkeypatch) as backend:
        while left:
            fleet.expect(f"trade:DEP{sent % 4}")
            assert await asyncio.to_thread(backend.publish, trade(f"DEP{sent % 4}", sent + 1.0)) == []
            sent += 1
            left -= deploying.done()
    await fleet.wait_complete(SECONDS)
    fleet.count_undelivered()
    tally = fleet.tally
    await fleet.close()
    after = await asyncio.to_thread(versions, stack)
    await asyncio.to_thread(visibility, stack, previous)
    assert sum(after[name] != version for name, version in before.items()) >= 4, "the changed code is deployed"
    assert (tally.connected, tally.lost, dict(tally.refused)) == (CLIENTS, 0, {})
    assert (tally.events, tally.share) == (sent, 1.0)
    print(f"deployed in {deploying.result():.1f} s, {sent} events, {tally.delivered} of {tally.expected} delivered")
