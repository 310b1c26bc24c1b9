"""Writing counters with the asynchronous client, for functions that do without boto3."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING

from chaincast.aws.fast.dynamodb import TableUnavailable, execute
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.metrics.recorder import Write

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef


def async_counter_writer(loop: AbstractEventLoop, client: ServiceClient) -> Write:
    """Return a function that writes counters. It raises `TableUnavailable` on failure."""

    def write(update: UpdateItemInputTypeDef) -> None:
        response = loop.run_until_complete(execute(client, "UpdateItem", {**update}))
        if response.status != 200:
            raise TableUnavailable(f"UpdateItem of counts was refused: HTTP {response.status}: {response.body[:300]!r}")

    return write
