"""A client of the model's tables with the methods of boto3's, for code that runs in the model's process."""

from __future__ import annotations

from typing import Any

from tests.aws_model.tables import Tables


class ConditionalCheckFailed(Exception):
    """The item does not meet the condition."""


class _Exceptions:
    ConditionalCheckFailedException = ConditionalCheckFailed


class DirectClient:
    """Calls operations without HTTP. Raises `ConditionalCheckFailed`, or `RuntimeError` for any other error."""

    exceptions = _Exceptions()

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def __getattr__(self, name: str) -> Any:
        operation = "".join(word.capitalize() for word in name.split("_"))

        def call(**request: Any) -> dict[str, Any]:
            status, document = self._tables.respond(operation, request)
            if status == 200:
                return document
            if "ConditionalCheckFailed" in document["__type"]:
                raise ConditionalCheckFailed
            raise RuntimeError(f"{operation}: {document}")

        return call
