"""Helpers that read and change moto's tables and queues."""

from __future__ import annotations

import asyncio
import os
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Protocol, TypeAlias, TypeVar

from chaincast.aws import boto_clients, environment
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.eventlog.checkpoint import checkpoint_key
from chaincast.fanout.messages import DeliverBatch, FanoutMessage, decode_message
from chaincast.model.batches import Batch, decode_batch
from chaincast.protocol.commands import User
from chaincast.sessions.stores import SessionStores, make_stores
from chaincast.sessions.subscription_store import SubscriptionStore

Item: TypeAlias = dict[str, Any]  # a DynamoDB item with its type tags


def session_stores(shards: int = 1) -> SessionStores:
    """Return the stores of sessions, in moto's tables."""
    tables = (environment.CONNECTIONS.lower(), environment.SUBSCRIPTIONS.lower(), environment.STATE.lower())
    return make_stores(boto_clients.dynamodb(), *tables, shards)


def subscriptions(shards: int = 1) -> SubscriptionStore:
    """Return the store of subscriptions."""
    return session_stores(shards).subscriptions


def set_identity(connection_id: str, *, user: User | None = None, joined: bool | None = None) -> None:
    """Set the user of a connection, or whether it has joined."""
    stores = session_stores()
    record = stores.connections.get(connection_id)
    assert record is not None
    stores.subscriptions.set_identity(connection_id, record.identity, lambda topic: False, user=user, joined=joined)


def items(variable: str) -> list[Item]:
    """Return all items of a table, in a stable order."""
    found: list[Item] = list(boto_clients.dynamodb().scan(TableName=variable.lower(), ConsistentRead=True)["Items"])
    return sorted(found, key=repr)


def logged() -> list[Batch]:
    """Return the batches of the event log, in order."""
    batches = (decode_batch(bytes(item["batch"]["B"])) for item in items(environment.LOG))
    return sorted(batches, key=lambda batch: (batch.seq, batch.part))


def folded(batches: Iterable[Batch]) -> list[str]:
    """Return the ids of the events that a client has after these batches: those received and not retracted."""
    held: dict[str, None] = {}
    for batch in batches:
        for retraction in batch.retracted:
            del held[retraction.id]  # only received events are retracted
        for told in batch.events:
            assert told.id not in held
            held[told.id] = None
    return list(held)


async def until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Wait until a condition on a table holds, by polling."""
    async with asyncio.timeout(seconds):
        asked = monotonic()
        while not condition():
            # Checking may be slow, so the pause is twice as long: most of the time is left for what is waited for.
            await asyncio.sleep(max(0.02, 2 * (monotonic() - asked)))
            asked = monotonic()


class Closable(Protocol):
    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


@asynccontextmanager
async def closing(source: C) -> AsyncIterator[C]:
    """Yield a source of blocks, and close it at the end."""
    try:
        yield source
    finally:
        await source.close()


def expire_lease(network: str) -> None:
    """Let the lease of a network expire, as if its holder had not renewed it."""
    boto_clients.dynamodb().update_item(
        TableName=environment.STATE.lower(),
        Key=checkpoint_key(network),
        UpdateExpression="SET lease_until = :past",
        ExpressionAttributeValues={":past": {"N": "0"}},
    )


def take_batches() -> list[Batch]:
    """Receive and delete all messages of the fan-out queue. Return the batches in them."""
    return [work.batch for work in take_work() if isinstance(work, DeliverBatch)]


def take_work() -> list[FanoutMessage]:
    """Receive and delete all messages of the fan-out queue."""
    return [decode_message(body) for body in receive_all(environment.FANOUT_QUEUE)]


def receive_all(queue: str) -> list[str]:
    """Receive and delete all messages of a queue. `queue`: the environment variable with its URL."""
    url = os.environ[queue]
    found = []
    while messages := boto_clients.sqs().receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            found.append(message["Body"])
            boto_clients.sqs().delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def end_loop(loop: AbstractEventLoop, *clients: ServiceClient) -> None:
    """ShardDrained the event loop of a function, and its clients."""
    for client in clients:
        loop.run_until_complete(client.close())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
