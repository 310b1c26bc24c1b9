"""Writers of counters: each begins a write and lets the recorder wait for it briefly. None of them tries again.

A write that has not ended when the invocation ends goes on with the next one. Its counts are then complete a moment
later, or lost if the process has ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from chaincast.errors import ChaincastError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef

REQUEST_SECONDS = 2.0
"""Limit of a request, so that a table that does not respond occupies a connection only briefly."""


class NotWritten(ChaincastError):
    """The table has certainly not stored the counts: they may be written again."""


class PendingWrite(Protocol):
    """A write in progress."""

    def wait(self, seconds: float) -> bool:
        """Wait up to `seconds`. Return False if the write has not ended then.

        Raises:
            NotWritten: The write failed, and has changed nothing.
            Exception: The write failed, and may have been stored.
        """
        ...


class CounterWriter(Protocol):
    """Begins writes of counters."""

    def begin(self, update: UpdateItemInputTypeDef) -> PendingWrite: ...


class BotoCounterWriter:
    """Writes with boto3, in a thread of its own."""

    @cached_property
    def _thread(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1, thread_name_prefix="counters")

    @cached_property
    def _client(self) -> DynamoDBClient:
        from chaincast.aws import boto_clients  # some functions do not need boto3

        return boto_clients.counters(REQUEST_SECONDS)

    def begin(self, update: UpdateItemInputTypeDef) -> PendingWrite:
        """Begin a write in the thread."""
        return _FutureWrite(self._thread.submit(self._write, update))

    def _write(self, update: UpdateItemInputTypeDef) -> None:
        from botocore.exceptions import ClientError

        try:
            self._client.update_item(**update)
        except ClientError as error:
            metadata: Mapping[str, object] = error.response.get("ResponseMetadata", {})
            if metadata.get("HTTPStatusCode") in range(400, 500):
                raise NotWritten(str(error)) from None
            raise


class _FutureWrite:
    def __init__(self, future: Future[None]) -> None:
        self._future = future

    def wait(self, seconds: float) -> bool:
        wait([self._future], seconds)
        if not self._future.done():
            return False
        self._future.result()
        return True
