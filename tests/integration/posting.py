"""The asynchronous client and the poster of fan-out, connected to a scripted server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.poster import ConnectionPoster, PostBatch
from chaincast.aws.fast.service_client import Payload, ServiceClient
from tests.integration.scripted import ScriptedServer


@asynccontextmanager
async def open_client(server: ScriptedServer, patience: float = 5.0) -> AsyncIterator[ServiceClient]:
    client = ServiceClient(Pool(f"{server.url}/prod", 4, patience), "us-east-1", "execute-api")
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def open_gateway(server: ScriptedServer, patience: float = 5.0) -> AsyncIterator[ConnectionPoster]:
    async with open_client(server, patience) as client:
        yield ConnectionPoster(client)


def offer(posting: PostBatch, connections: list[str], *bodies: bytes) -> None:
    payloads = [Payload(body) for body in bodies]
    for connection in connections:
        posting.submit(connection, payloads)
