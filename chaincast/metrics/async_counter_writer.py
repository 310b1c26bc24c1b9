"""Writes counters with the asynchronous client, in functions that do without boto3."""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from typing import TYPE_CHECKING

import orjson

from chaincast.aws.fast.connection import HttpError
from chaincast.aws.fast.dynamodb import headers
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.metrics.counter_writers import REQUEST_SECONDS, NotWritten, PendingWrite

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef


class AsyncCounterWriter:
    """Writes with the asynchronous client, in functions that do without boto3."""

    def __init__(self, loop: AbstractEventLoop, client: ServiceClient) -> None:
        self._loop = loop
        self._client = client

    def begin(self, update: UpdateItemInputTypeDef) -> PendingWrite:
        """Begin a write in the event loop."""
        return _TaskWrite(self._loop, self._loop.create_task(self._write(update)))

    async def _write(self, update: UpdateItemInputTypeDef) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                response = await self._client.post("/", orjson.dumps(update), headers("UpdateItem"))
        except HttpError as error:
            if error.sent:
                raise
            raise NotWritten(str(error)) from None
        reason = f"UpdateItem of counts was refused: HTTP {response.status}: {response.body[:300]!r}"
        if 400 <= response.status < 500:
            raise NotWritten(reason)
        if response.status != 200:
            raise OSError(reason)


class _TaskWrite:
    def __init__(self, loop: AbstractEventLoop, task: asyncio.Task[None]) -> None:
        self._loop = loop
        self._task = task

    def wait(self, seconds: float) -> bool:
        if not self._task.done():
            self._loop.run_until_complete(asyncio.wait({self._task}, timeout=seconds))
        if not self._task.done():
            return False
        self._task.result()
        return True
