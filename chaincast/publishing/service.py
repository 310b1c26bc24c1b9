"""Taking in what is published: an answer for each item; what is accepted is in the Log and queued by then.

Making an intake from a function's settings and environment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson

from chaincast.errors import ClientError, Code
from chaincast.model.batches import Batch
from chaincast.model.cursors import format_cursor
from chaincast.model.events import Event
from chaincast.publishing.appender import Appender, Repeated
from chaincast.publishing.items import MAX_ITEMS, Accepted, Reader

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, TransactWriteItemTypeDef


from pathlib import Path

from chaincast.aws import boto_clients, environment
from chaincast.config.function_settings import Settings
from chaincast.model.schemas import Kinds
from chaincast.publishing.appender import make_appender

REMEMBERED_SECONDS = 86_400
"""How long an idempotency key makes a repeat harmless."""

MAX_KEY = 256


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of each item, in order: `{id, source, cursor}` or `{code, message}`."""

    results: tuple[Mapping[str, str], ...]
    trace_ids: tuple[str, ...] = ()
    repeated: bool = False

    @property
    def accepted(self) -> int:
        return sum("id" in result for result in self.results)


class Intake:
    """Of one deployment. Blocking."""

    def __init__(self, client: DynamoDBClient, state: str, reader: Reader, appender: Appender) -> None:
        self._client = client
        self._state = state
        self._reader = reader
        self._appender = appender

    def publish(self, items: Sequence[object], key: str | None, now_ms: int) -> Answer:
        """Publish items; with an idempotency `key`, once, however often it is asked for.

        Raises `ClientError` if nothing can be done with any of it (too many items, a key that was used for something
        else), and `Busy`.
        """
        if not 1 <= len(items) <= MAX_ITEMS:
            raise ClientError(Code.TOO_MANY_EVENTS, f"{len(items)} events in one request; 1 to {MAX_ITEMS}")
        if key is not None and not 1 <= len(key) <= MAX_KEY:
            raise ClientError(Code.BAD_MESSAGE, f"the idempotency key has {len(key)} characters; 1 to {MAX_KEY}")
        unique = key or uuid4().hex
        named = [(f"{unique}/{place}", item) for place, item in enumerate(items)]
        return self.take(named, key, now_ms)

    def take(self, named: Sequence[tuple[str, object]], key: str | None, now_ms: int) -> Answer:
        """Publish items that have names of their own, which make their ids. Raises as `publish` does."""
        judged = self._reader.read(named, now_ms)
        accepted = [item for item in judged if isinstance(item, Accepted)]
        trace_ids = tuple(dict.fromkeys(item.trace_id for item in accepted if item.trace_id))
        if not accepted:
            return Answer(tuple(_result(item, {}) for item in judged))
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
            # Whoever asked before may have ended between the Log and the queue.
            for source in events:
                self._appender.heal(source)
            return Answer(tuple(_result(item, {}) for item in judged), trace_ids, repeated=True)
        return Answer(tuple(_result(item, cursors) for item in judged), trace_ids)

    def _remember(self, key: str, digest: str, now_ms: int) -> TransactWriteItemTypeDef:
        return {
            "Put": {
                "TableName": self._state,
                "Item": {
                    **_state_key(key),
                    "digest": {"S": digest},
                    "expires_at": {"N": str(now_ms // 1000 + REMEMBERED_SECONDS)},
                },
                # Time-to-live deletes late: what is over does not count.
                "ConditionExpression": "attribute_not_exists(#k) OR expires_at < :now",
                "ExpressionAttributeNames": {"#k": "key"},
                "ExpressionAttributeValues": {":now": {"N": str(now_ms // 1000)}},
            }
        }

    def _check_same(self, key: str, digest: str) -> None:
        found = self._client.get_item(TableName=self._state, Key=_state_key(key), ConsistentRead=True).get("Item", {})
        if "digest" in found and found["digest"]["S"] != digest:
            raise ClientError(
                Code.KEY_REUSED, f"idempotency key {key[:64]!r} was used for other events; use a key for each request"
            )


def _result(item: Accepted | ClientError, cursors: Mapping[str, int]) -> Mapping[str, str]:
    if isinstance(item, ClientError):
        return {"code": item.code.value, "message": item.message}
    result = {"id": item.events[0].id, "source": item.source}
    return {**result, "cursor": format_cursor(cursors[item.source])} if item.source in cursors else result


def _state_key(key: str) -> dict[str, AttributeValueTypeDef]:
    return {"key": {"S": f"idempotency/{hashlib.sha256(key.encode()).hexdigest()}"}, "sort": {"S": "publish"}}


KINDS_FILE = Path(__file__).parents[2] / "kinds.json"
"""A team's own kinds and their schemas, which infra puts beside the code: an environment variable has no room."""


def make_intake(settings: Settings, kinds_file: Path = KINDS_FILE) -> Intake:
    """What takes in what is published. Raises `BadSchema`."""
    schemas = orjson.loads(kinds_file.read_bytes()) if kinds_file.exists() else {}
    reader = Reader(Kinds(schemas), settings.app_sources)
    return Intake(boto_clients.dynamodb(), environment.require_env(environment.STATE), reader, make_appender(settings))
