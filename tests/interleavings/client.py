"""A client of the model's tables, each of whose calls is a step of the scheduler."""

from __future__ import annotations

from typing import Any

from tests.aws_model.client import DirectClient, Paginator
from tests.aws_model.tables import Tables
from tests.interleavings.scheduler import Scheduler

_SHOWN = 60


class SteppingClient:
    """Has the methods of boto3's client of DynamoDB."""

    def __init__(self, tables: Tables, scheduler: Scheduler) -> None:
        self._direct = DirectClient(tables)
        self._scheduler = scheduler
        self.exceptions = self._direct.exceptions
        self.calls: dict[str, int] = {}
        """Number of calls so far, by operation."""

    def get_paginator(self, name: str) -> Paginator:
        """Return a paginator of an operation, each of whose pages is a step."""
        return Paginator(getattr(self, name))

    def __getattr__(self, name: str) -> Any:
        effect = getattr(self._direct, name)

        def call(**request: Any) -> Any:
            self.calls[name] = self.calls.get(name, 0) + 1
            return self._scheduler.call(described(name, request), lambda: effect(**request))

        return call


def described(operation: str, request: dict[str, Any]) -> str:
    """Return a call in words for a timeline: its operation, and the items that it concerns."""
    operation = "".join("_" + c.lower() if c.isupper() else c for c in operation).lstrip("_")
    if operation == "transact_write_items":
        parts = [
            f"{kind.lower()} {_item(document)}"
            for write in request["TransactItems"]
            for kind, document in write.items()
        ]
        return f"{operation} [{', '.join(parts)}]"
    if operation in ("batch_write_item", "batch_get_item"):
        return f"{operation} {', '.join(_batch(name, entries) for name, entries in request['RequestItems'].items())}"
    change = request.get("UpdateExpression", "")
    return f"{operation} {_item(request)} {change[:_SHOWN]}".rstrip()


def _item(document: dict[str, Any]) -> str:
    if "ExpressionAttributeValues" in document and "KeyConditionExpression" in document:
        values = [str(*value.values()) for value in document["ExpressionAttributeValues"].values()]
        return "/".join([document["TableName"], *values])
    key: dict[str, Any] = document.get("Key") or document.get("Item") or {}
    keys = [str(*value.values()) for name, value in key.items() if name in _KEYS]
    return "/".join([document["TableName"], *keys])


def _batch(table: str, entries: Any) -> str:
    if isinstance(entries, dict):
        return ", ".join(_item({"TableName": table, "Key": key}) for key in entries["Keys"])
    documents = [document for entry in entries for document in entry.values()]
    return ", ".join(_item({"TableName": table, **document}) for document in documents)


_KEYS = frozenset({"connection_id", "topic_shard", "source", "cursor", "key", "sort", "topic", "position"})
