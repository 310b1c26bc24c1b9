"""The heartbeat function on the deployed stack: it purges who is gone and leaves who is there."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import boto3

from chaincast.sessions.connection_store import Connection, Connections
from local.stack.checkout import REGION
from local.stack.local_stack import LocalStack
from tests.e2e.client import Client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONG_AGO = 1_700_000_000_000


def aws(stack: LocalStack, service: str) -> Any:
    """A client of the stack's administrator."""
    return boto3.client(  # type: ignore[call-overload]  # the service's name is a variable
        service,
        endpoint_url=stack.emulator.endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def resource_named(names: list[str], part: str) -> str:
    return next(name for name in names if part in name)


def beat(stack: LocalStack) -> dict[str, int]:
    """Run the heartbeat as its schedule does."""
    functions = [f["FunctionName"] for f in aws(stack, "lambda").list_functions()["Functions"]]
    answer = aws(stack, "lambda").invoke(FunctionName=resource_named(functions, "GatewayHeartbeat"))
    assert "FunctionError" not in answer, answer["Payload"].read()
    counts: dict[str, int] = json.loads(answer["Payload"].read())
    return counts


async def test_the_gone_are_purged_and_the_quiet_are_kept(stack: LocalStack) -> None:
    database: DynamoDBClient = aws(stack, "dynamodb")
    tables = database.list_tables()["TableNames"]
    table = resource_named(tables, "StorageConnections")
    connections = Connections(database, table)
    await asyncio.to_thread(beat, stack)  # whoever the tests before left behind
    async with Client(stack.outputs.websocket_url) as client:
        alive = (await client.message("connected"))["connection_id"]
        await client.subscribe("tokens:anvil")
        record = connections.touch(alive, LONG_AGO)
        assert record is not None
        connections.put(Connection("gone", "chaincast.v1", "", "", LONG_AGO))
        counts = await asyncio.to_thread(beat, stack)
        assert (counts["asked"], counts["gone"], counts["left"]) == (2, 1, 0)
        assert connections.get(alive) is not None
        assert connections.get("gone") is None
        counts = await asyncio.to_thread(beat, stack)
        assert (counts["asked"], counts["gone"]) == (0, 0)
        await client.send({"type": "ping", "id": 1})
        await client.message("pong", id=1)
