"""From a publisher's items to events. Each item is validated by itself, and determines its source and topics."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any
from zlib import crc32

import orjson
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from chaincast.errors import Code, RequestError
from chaincast.model.events import Event, Kind
from chaincast.model.schemas import Kinds, Shape
from chaincast.model.topics import ANY, Topic
from chaincast.model.validation_errors import describe_errors

MAX_ITEMS = 500
MAX_ITEM_BYTES = 100_000
"""Maximum bytes of one item's JSON: a message to a client has at most 128 KB."""

_CLOCK_SKEW_MS = 86_400_000
EVERYBODY = "all"
"""Symbol of a team's own event without a symbol: it is delivered under `events:{kind}:all`."""


class Metadata(BaseModel):
    """Fields that are delivered to clients; `traceId` also appears in the logs."""

    model_config = ConfigDict(extra="forbid")
    priority: Annotated[StrictStr, Field(pattern="^(low|medium|high)$")] | None = None
    source: Annotated[StrictStr, Field(max_length=128)] | None = None
    traceId: Annotated[StrictStr, Field(max_length=128)] | None = None
    version: Annotated[StrictStr, Field(max_length=64)] | None = None


class Item(BaseModel):
    """One event, as a backend publishes it. `timestamp` (ms) is when it happened; default now."""

    model_config = ConfigDict(extra="forbid")
    kind: Annotated[StrictStr, Field(max_length=64)]
    data: dict[str, Any]
    symbol: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None
    userId: Annotated[StrictStr, Field(min_length=1, max_length=128)] | None = None
    timestamp: Annotated[StrictInt, Field(ge=0)] | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A valid item: its events (a user's trade becomes two), and the source that they belong to."""

    source: str
    events: tuple[Event, ...]
    trace_id: str | None


class Reader:
    """Reads items for one deployment. `sources`: number of log partitions of the app source."""

    def __init__(self, kinds: Kinds, sources: int) -> None:
        self._kinds = kinds
        self._sources = sources

    def read(self, named: Sequence[tuple[str, object]], now_ms: int) -> list[Accepted | RequestError]:
        """Return the result of each item. Its name determines the event ids, so that a repeat has the same ids."""
        return [self._read(document, name, now_ms) for name, document in named]

    def _read(self, document: object, unique: str, now_ms: int) -> Accepted | RequestError:
        try:
            item = self._item(document)
            private, named = item.userId is not None, item.symbol is not None
            shape = self._kinds.shape(item.kind, private=private, named=named)
            self._kinds.check(item.kind, item.data)
            return self._accepted(item, shape, unique, now_ms)
        except RequestError as error:
            return error

    def _item(self, document: object) -> Item:
        if not isinstance(document, dict):
            raise RequestError(Code.BAD_MESSAGE, f"an item is an object, not {document!r:.60}")
        size = len(orjson.dumps(document))
        if size > MAX_ITEM_BYTES:
            raise RequestError(Code.TOO_LARGE, f"an item has {size} bytes; at most {MAX_ITEM_BYTES}")
        try:
            return Item.model_validate(document)
        except ValidationError as error:
            description = describe_errors(error.errors(include_url=False), document, "item")
            raise RequestError(Code.BAD_MESSAGE, description) from None

    def _accepted(self, item: Item, shape: Shape, unique: str, now_ms: int) -> Accepted:
        if shape.needs and getattr(item, shape.needs) is None:
            raise RequestError(Code.BAD_MESSAGE, f"{item.kind}: {shape.needs} is missing: of which {shape.needs}?")
        timestamp = now_ms if item.timestamp is None else item.timestamp
        if timestamp > now_ms + _CLOCK_SKEW_MS:
            raise RequestError(Code.BAD_MESSAGE, f"timestamp {timestamp} is over a day ahead; it is in ms since 1970")
        for name in ("symbol", "userId"):
            if getattr(item, name) == ANY:
                raise RequestError(Code.BAD_TOPIC, f"{name} is '*': an event is about one, name it")
        names = {"kind": item.kind, "symbol": item.symbol or EVERYBODY, "userId": item.userId or ""}
        topics = tuple(str(Topic.parse(topic.format(**names))) for topic in shape.topics)
        key = item.userId if shape.needs == "userId" else item.symbol
        source = self.source_of(key or "")
        data: dict[str, Any] = {**item.data}
        if item.symbol is not None:
            data["symbol"] = item.symbol
        if item.metadata is not None:
            data["metadata"] = item.metadata.model_dump(exclude_none=True)
        digest = hashlib.sha256(unique.encode()).hexdigest()[:20]
        event = Event(
            id=f"{source}:{digest}",
            kind=item.kind,
            timestamp=timestamp,
            topics=topics,
            data=data,
            conflation_key=f"{item.kind} {item.symbol}" if shape.latest_only else None,
        )
        events: tuple[Event, ...] = (event,)
        if item.kind == Kind.TRADE and item.userId:
            # The public event does not name the user; their own event does. Without a market there is only the latter.
            own = _personal(event, item.userId)
            events = (event, own) if item.symbol else (own,)
        return Accepted(source, events, item.metadata.traceId if item.metadata else None)

    def source_of(self, key: str) -> str:
        """Return the app source of a symbol or user. All events of one are in one source, and so in order."""
        return f"app-{crc32(key.encode()) % self._sources}"


def _personal(event: Event, user: str) -> Event:
    """Return a user's own trade, delivered to that user only."""
    topic = str(Topic.parse(f"user:{user}"))
    return replace(event, id=f"{event.id}:1", topics=(topic,), data={**event.data, "personal": True})
