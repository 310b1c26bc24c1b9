"""A test of the heartbeat function on the deployed stack: it removes closed connections and keeps open ones."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import boto3

from chaincast.sessions.connection_store import Connection, ConnectionStore
from local.stack.checkout import REGION
from local.stack.local_stack import LocalStack
from tests.e2e.client import Client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LONG_AGO = 1_700_000_000_000


def aws(stack: LocalStack, service: str) -> Any:
    """Return an administrator's client of an AWS service."""
    return boto3.client(  # type: ignore[call-overload]  # the name of the service is a variable
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
    result = aws(stack, "lambda").invoke(FunctionName=resource_named(functions, "GatewayHeartbeat"))
    assert "FunctionError" not in result, result["Payload"].read()
    counts: dict[str, int] = json.loads(result["Payload"].read())
    return counts


async def test_closed_connections_are_removed_and_idle_ones_are_kept(stack: LocalStack) -> None:
    database: DynamoDBClient = aws(stack, "dynamodb")
    tables = database.list_tables()["TableNames"]
    table = resource_named(tables, "StorageConnections")
    connections = ConnectionStore(database, table)
    await asyncio.to_thread(beat, stack)  # remove connections that earlier tests left
    async with Client(stack.outputs.websocket_url) as client:
        alive = (await client.message("connected"))["connection_id"]
        await client.subscribe("tokens:anvil")
        record = connections.mark_active(alive, LONG_AGO)
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
