"""A client of the model's tables with the methods of boto3's, for code that runs in the model's process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from tests.aws_model.tables import Tables


class ConditionalCheckFailedException(ClientError):
    """The item does not meet the condition."""


class TransactionCanceledException(ClientError):
    """A write of the transaction was refused."""


class _Exceptions:
    ConditionalCheckFailedException = ConditionalCheckFailedException
    TransactionCanceledException = TransactionCanceledException


class DirectClient:
    """Calls operations without HTTP. Raises errors as botocore does."""

    exceptions = _Exceptions()

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get_paginator(self, name: str) -> Paginator:
        """Return a paginator of an operation."""
        return Paginator(getattr(self, name))

    def __getattr__(self, name: str) -> Any:
        operation = "".join(word.capitalize() for word in name.split("_"))

        def call(**request: Any) -> dict[str, Any]:
            status, document = self._tables.respond(operation, request)
            if status == 200:
                return document
            code = document["__type"].rpartition("#")[2]
            response: Any = {"Error": {"Code": code, "Message": str(document)}, **document}
            raise getattr(_Exceptions, code, ClientError)(response, operation)

        return call


class Paginator:
    """Reads all pages of an operation."""

    def __init__(self, read: Callable[..., dict[str, Any]]) -> None:
        self._read = read

    def paginate(self, PaginationConfig: Mapping[str, int] | None = None, **request: Any) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's name
        """Yield the pages."""
        if PaginationConfig:
            request["Limit"] = PaginationConfig["PageSize"]
        while True:
            page = self._read(**request)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
