"""Publishes items of backends. On return each item has a result, and accepted items are in the event log and queued."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

import orjson

from chaincast.errors import Code, RequestError
from chaincast.model.batches import Batch
from chaincast.model.cursors import format_cursor
from chaincast.model.events import Event
from chaincast.model.schemas import Kinds
from chaincast.publishing.appender import Appender, Repeated
from chaincast.publishing.items import MAX_ITEMS, Accepted, Reader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef

REMEMBERED_SECONDS = 86_400
"""Seconds for which an idempotency key is stored, and makes a repeated request harmless."""

MAX_KEY = 256
"""Maximum number of characters of an idempotency key."""

NamedItem: TypeAlias = tuple[str, object]
"""An item with a name that is unique, from which the ids of its events are made."""


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result of each item, in order: `{id, source, cursor}` or `{code, message}`."""

    results: tuple[Mapping[str, str], ...]
    trace_ids: tuple[str, ...] = ()
    repeated: bool = False

    @property
    def accepted(self) -> int:
        """The number of accepted items."""
        return sum("id" in result for result in self.results)


class PublishService:
    """Publishes to the app sources of one deployment. Calls block."""

    def __init__(self, client: DynamoDBClient, state: str, reader: Reader, appender: Appender) -> None:
        self._client = client
        self._state = state
        self._reader = reader
        self._appender = appender

    def publish(self, items: Sequence[object], key: str | None, now_ms: int) -> PublishResult:
        """Publish items. With an idempotency `key` they are published once, however often the request is repeated.

        Raise `RequestError` if the request as a whole is refused (too many items, a key of another request), and
        `Busy`.
        """
        if not 1 <= len(items) <= MAX_ITEMS:
            raise RequestError(Code.TOO_MANY_EVENTS, f"{len(items)} events in one request; 1 to {MAX_ITEMS}")
        if key is not None and not 1 <= len(key) <= MAX_KEY:
            raise RequestError(Code.BAD_MESSAGE, f"the idempotency key has {len(key)} characters; 1 to {MAX_KEY}")
        unique = key or uuid4().hex
        named = [(f"{unique}/{index}", item) for index, item in enumerate(items)]
        return self.publish_named(named, key, now_ms)

    def publish_named(self, named: Sequence[NamedItem], key: str | None, now_ms: int) -> PublishResult:
        """Publish items with names, from which their ids are made. Raise the same errors as `publish`."""
        read_items = self._reader.read(named, now_ms)
        accepted = [item for item in read_items if isinstance(item, Accepted)]
        trace_ids = tuple(dict.fromkeys(item.trace_id for item in accepted if item.trace_id))
        if not accepted:
            return PublishResult(tuple(_result(item, {}) for item in read_items))
        events: dict[str, list[Event]] = {}
        for item in accepted:
            events.setdefault(item.source, []).extend(item.events)
        digest = hashlib.sha256(orjson.dumps(named, option=orjson.OPT_SORT_KEYS)).hexdigest()
        try:
            remember = None if key is None else self._remember(key, digest, now_ms)
            drafts = [Batch(source=s, seq=0, timestamp=now_ms, events=tuple(es)) for s, es in events.items()]
            cursors = self._appender.append(drafts, remember)
        except Repeated:
            assert key is not None
            self._check_same(key, digest)
            # The first request may have ended between event log and queue.
            for source in events:
                self._appender.requeue_missing(source)
            return PublishResult(tuple(_result(item, {}) for item in read_items), trace_ids, repeated=True)
        return PublishResult(tuple(_result(item, cursors) for item in read_items), trace_ids)

    def _remember(self, key: str, digest: str, now_ms: int) -> TransactWriteItemTypeDef:
        return {
            "Put": {
                "TableName": self._state,
                "Item": {
                    **_state_key(key),
                    "digest": {"S": digest},
                    "expires_at": {"N": str(now_ms // 1000 + REMEMBERED_SECONDS)},
                },
                # DynamoDB deletes expired items late: an expired key does not count.
                "ConditionExpression": "attribute_not_exists(#k) OR expires_at < :now",
                "ExpressionAttributeNames": {"#k": "key"},
                "ExpressionAttributeValues": {":now": {"N": str(now_ms // 1000)}},
            }
        }

    def _check_same(self, key: str, digest: str) -> None:
        item = self._client.get_item(TableName=self._state, Key=_state_key(key), ConsistentRead=True).get("Item", {})
        if "digest" in item and item["digest"]["S"] != digest:
            raise RequestError(
                Code.KEY_REUSED, f"idempotency key {key[:64]!r} was used for other events; use a key for each request"
            )


def _result(item: Accepted | RequestError, cursors: Mapping[str, int]) -> Mapping[str, str]:
    if isinstance(item, RequestError):
        return {"code": item.code.value, "message": item.message}
    result = {"id": item.events[0].id, "source": item.source}
    return {**result, "cursor": format_cursor(cursors[item.source])} if item.source in cursors else result


def _state_key(key: str) -> dict[str, AttributeValueTypeDef]:
    return {"key": {"S": f"idempotency/{hashlib.sha256(key.encode()).hexdigest()}"}, "sort": {"S": "publish"}}


def make_publish_service(
    client: DynamoDBClient, state: str, appender: Appender, log_partitions: int, kinds_file: Path
) -> PublishService:
    """Return a publish service with a team's own kinds, if the file with their schemas exists. Raise `BadSchema`."""
    schemas = orjson.loads(kinds_file.read_bytes()) if kinds_file.exists() else {}
    return PublishService(client, state, Reader(Kinds(schemas), log_partitions), appender)
