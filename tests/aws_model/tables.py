"""DynamoDB: tables in memory, with the limits of a partition and items that outlive their expiry."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeAlias
from zlib import crc32

import orjson

from tests.aws_model.expressions import Expression, ExpressionError, Item, Value
from tests.aws_model.token_bucket import TokenBucket

Request: TypeAlias = Mapping[str, Any]  # as JSON
Clock: TypeAlias = Callable[[], float]

PAGE_BYTES = 1_000_000
WRITE_UNITS, READ_UNITS = 1_000.0, 3_000.0
"""Units per second of one partition key (Developer Guide, "Designing partition keys to distribute your workload")."""
WRITE_BYTES, READ_BYTES = 1_024, 4_096


class Refused(Exception):
    """An error response: HTTP status 400."""

    def __init__(self, error: str, **more: object) -> None:
        super().__init__(error)
        self.document = {"__type": f"com.amazonaws.dynamodb.v20120810#{error}", "message": error, **more}


class Partition(Protocol):
    """The items with one partition key, by sort key."""

    @property
    def keys(self) -> Sequence[str]: ...

    def get(self, key: str) -> Item: ...


class StoredPartition:
    """Items in memory."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._items: dict[str, Item] = {}

    def get(self, key: str) -> Item:
        return self._items[key]

    def __contains__(self, key: str) -> bool:
        return key in self._items

    def put(self, key: str, item: Item) -> None:
        if key not in self._items:
            insort(self.keys, key)
        self._items[key] = item

    def delete(self, key: str) -> None:
        if key in self._items:
            del self._items[key]
            del self.keys[bisect_left(self.keys, key)]


@dataclass(slots=True)
class Table:
    """A table. `sort_key` may be empty. A test may add partitions whose items are made when they are read."""

    partition_key: str
    sort_key: str = ""
    partitions: dict[str, Partition] = field(default_factory=lambda: defaultdict(StoredPartition))

    def key(self, item: Item) -> tuple[str, str]:
        return _text(item[self.partition_key]), _text(item[self.sort_key]) if self.sort_key else ""

    def find(self, item: Item) -> Item | None:
        name, key = self.key(item)
        partition = self.partitions.get(name)
        return partition.get(key) if isinstance(partition, StoredPartition) and key in partition else None

    def stored(self, item: Item) -> StoredPartition:
        partition = self.partitions[self.key(item)[0]]
        assert isinstance(partition, StoredPartition), "a partition of a test cannot be written"
        return partition

    def items(self) -> Iterator[Item]:
        for partition in self.partitions.values():
            for key in [*partition.keys]:
                yield partition.get(key)


class Tables:
    """All tables. `limited`: partitions have the limits of AWS."""

    def __init__(self, tables: Mapping[str, Table], clock: Clock, *, limited: bool = True) -> None:
        self.tables = tables
        self.limited = limited
        self.throttled = 0
        """Number of requests that a partition's limit has refused."""
        self.requests: dict[str, int] = defaultdict(int)
        self._clock = clock
        self._reads: dict[tuple[str, str], TokenBucket] = {}
        self._writes: dict[tuple[str, str], TokenBucket] = {}

    def respond(self, operation: str, request: Request) -> tuple[int, dict[str, Any]]:
        """Return the status and the document of a response."""
        self.requests[operation] += 1
        try:
            return 200, getattr(self, f"_{_snake(operation)}")(request)
        except Refused as refused:
            return 400, refused.document
        except ExpressionError as error:
            return 400, {"__type": "x#ValidationException", "message": str(error)}

    @contextmanager
    def without_limits(self) -> Iterator[None]:
        """Let partitions accept everything until the end, while a test sets up its items."""
        limited, self.limited = self.limited, False
        yield
        self.limited = limited

    def expire(self, now: float, dice: Random, share: float) -> int:
        """Delete a share (0…1) of the expired items, in no particular order, as DynamoDB does within days."""
        deleted = 0
        for table in self.tables.values():
            for item in [*table.items()]:
                ends = item.get("expires_at")
                if ends and int(ends["N"]) < now and dice.random() < share:
                    table.stored(item).delete(table.key(item)[1])
                    deleted += 1
        return deleted

    def _get_item(self, request: Request) -> dict[str, Any]:
        item = self.tables[request["TableName"]].find(request["Key"])
        self._read(request["TableName"], request["Key"], _size(item) if item else 0)
        return {} if item is None else {"Item": _projected(item, request)}

    def _put_item(self, request: Request) -> dict[str, Any]:
        return self._write(request, lambda before: dict(request["Item"]), request["Item"])

    def _delete_item(self, request: Request) -> dict[str, Any]:
        return self._write(request, lambda before: None, request["Key"])

    def _update_item(self, request: Request) -> dict[str, Any]:
        def updated(before: Item | None) -> Item:
            expression = _expression(request, "UpdateExpression")
            return expression.update(before if before is not None else dict(request["Key"]))

        return self._write(request, updated, request["Key"])

    def _write(self, request: Request, change: Callable[[Item | None], Item | None], key: Item) -> dict[str, Any]:
        table = self.tables[request["TableName"]]
        before = table.find(key)
        if "ConditionExpression" in request and not _expression(request, "ConditionExpression").condition(before or {}):
            self._take(self._writes, WRITE_UNITS, request["TableName"], key, _size(before or {}) / WRITE_BYTES)
            shown = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and before
            raise Refused("ConditionalCheckFailedException", **({"Item": before} if shown else {}))
        after = change(before)
        self._take(self._writes, WRITE_UNITS, request["TableName"], key, _size(after or before or {}) / WRITE_BYTES)
        if after is None:
            table.stored(key).delete(table.key(key)[1])
        else:
            table.stored(key).put(table.key(key)[1], after)
        wanted = request.get("ReturnValues", "NONE")
        if wanted == "ALL_OLD" and before is not None:
            return {"Attributes": before}
        if wanted == "ALL_NEW" and after is not None:
            return {"Attributes": after}
        if wanted == "UPDATED_NEW" and after is not None:
            return {"Attributes": {n: v for n, v in after.items() if before is None or before.get(n) != v}}
        return {}

    def _query(self, request: Request) -> dict[str, Any]:
        table = self.tables[request["TableName"]]
        name, condition = _key_condition(table, request)
        partition = table.partitions.get(name) or StoredPartition()
        keys: Sequence[str] = partition.keys
        start = bisect_left(keys, condition.low)
        end = len(keys) if condition.high is None else bisect_right(keys, condition.high)
        after = request.get("ExclusiveStartKey")
        if request.get("ScanIndexForward", True):
            first = max(start, bisect_right(keys, _text(after[table.sort_key]))) if after else start
            places = range(first, end)
        else:
            last = min(end, bisect_left(keys, _text(after[table.sort_key]))) if after else end
            places = range(last - 1, start - 1, -1)
        return self._page(request, (partition.get(keys[place]) for place in places), len(places), name)

    def _scan(self, request: Request) -> dict[str, Any]:
        table = self.tables[request["TableName"]]
        segments, segment = request.get("TotalSegments", 1), request.get("Segment", 0)
        items = sorted(
            (item for item in table.items() if crc32(table.key(item)[0].encode()) % segments == segment), key=table.key
        )
        if after := request.get("ExclusiveStartKey"):
            items = items[bisect_right([table.key(item) for item in items], table.key(after)) :]
        return self._page(request, iter(items), len(items), None)

    def _page(self, request: Request, items: Iterator[Item], left: int, partition: str | None) -> dict[str, Any]:
        table = self.tables[request["TableName"]]
        found: list[Item] = []
        size = seen = 0
        last: Item | None = None
        kept = _expression(request, "FilterExpression") if "FilterExpression" in request else None
        for item in items:
            seen += 1
            size += _size(item)
            last = item
            if kept is None or kept.condition(item):
                found.append(_projected(item, request))
            if size >= PAGE_BYTES or seen >= request.get("Limit", seen + 1):
                break
        if partition is not None:
            self._take_key(self._reads, READ_UNITS, (request["TableName"], partition), max(1.0, size / READ_BYTES))
        page: dict[str, Any] = {"Items": found, "Count": len(found), "ScannedCount": seen}
        if last is not None and seen < left:
            page["LastEvaluatedKey"] = {n: last[n] for n in (table.partition_key, table.sort_key) if n}
        return page

    def _batch_get_item(self, request: Request) -> dict[str, Any]:
        found: dict[str, list[Item]] = {}
        for name, wanted in request["RequestItems"].items():
            items = (self.tables[name].find(key) for key in wanted["Keys"])
            found[name] = [_projected(item, wanted) for item in items if item is not None]
        return {"Responses": found, "UnprocessedKeys": {}}

    def _batch_write_item(self, request: Request) -> dict[str, Any]:
        unprocessed: dict[str, list[Any]] = {}
        for name, writes in request["RequestItems"].items():
            for write in writes:
                ((kind, document),) = write.items()
                try:
                    self.respond_write({"TableName": name, **document}, kind)
                except Refused:
                    unprocessed.setdefault(name, []).append(write)
        return {"UnprocessedItems": unprocessed}

    def respond_write(self, request: Request, kind: str) -> None:
        """Carry out one write of a batch. Raise `Refused`."""
        if kind == "PutRequest":
            self._put_item(request)
        else:
            self._delete_item(request)

    def _transact_write_items(self, request: Request) -> dict[str, Any]:
        before: list[tuple[StoredPartition, str, Item | None]] = []
        for number, write in enumerate(request["TransactItems"]):
            ((kind, document),) = write.items()
            table = self.tables[document["TableName"]]
            key = document["Item"] if kind == "Put" else document["Key"]
            before.append((table.stored(key), table.key(key)[1], table.find(key)))
            try:
                self._in_transaction(kind, document)
            except Refused as refused:
                for partition, sort, item in before:
                    partition.delete(sort) if item is None else partition.put(sort, item)
                code = "ConditionalCheckFailed" if "Conditional" in str(refused) else "ThrottlingError"
                reasons = [{"Code": code if i == number else "None"} for i in range(len(request["TransactItems"]))]
                raise Refused("TransactionCanceledException", CancellationReasons=reasons) from None
        return {}

    def _in_transaction(self, kind: str, document: Request) -> None:
        if kind == "Put":
            self._put_item(document)
        elif kind == "Update":
            self._update_item(document)
        elif kind == "Delete":
            self._delete_item(document)
        elif not _expression(document, "ConditionExpression").condition(
            self.tables[document["TableName"]].find(document["Key"]) or {}
        ):
            raise Refused("ConditionalCheckFailedException")

    def _read(self, table: str, key: Item, size: int) -> None:
        self._take(self._reads, READ_UNITS, table, key, size / READ_BYTES)

    def _take(
        self, buckets: dict[tuple[str, str], TokenBucket], rate: float, table: str, key: Item, units: float
    ) -> None:
        self._take_key(buckets, rate, (table, self.tables[table].key(key)[0]), max(1.0, units))

    def _take_key(
        self, buckets: dict[tuple[str, str], TokenBucket], rate: float, key: tuple[str, str], units: float
    ) -> None:
        if not self.limited:
            return
        bucket = buckets.get(key) or buckets.setdefault(key, TokenBucket(rate, rate, self._clock()))
        if not bucket.take(self._clock(), units):
            self.throttled += 1
            raise Refused("ProvisionedThroughputExceededException")


@dataclass(frozen=True, slots=True)
class _Range:
    """The sort keys from `low` to `high`, both included. None: no end."""

    low: str = ""
    high: str | None = None


def _key_condition(table: Table, request: Request) -> tuple[str, _Range]:
    """Return the partition key and the range of sort keys of a query."""
    text: str = request["KeyConditionExpression"]
    for placeholder, name in (request.get("ExpressionAttributeNames") or {}).items():
        text = text.replace(placeholder, name)
    values: Mapping[str, Value] = request["ExpressionAttributeValues"]
    first, _, rest = text.partition(" AND ")
    name, operator, value = first.split()
    if (name, operator) != (table.partition_key, "="):
        raise ExpressionError(f"no partition key in {text!r}")
    partition = _text(values[value])
    if not rest:
        return partition, _Range()
    if rest.startswith("begins_with"):
        prefix = _text(values[rest[rest.index(":") : -1].strip()])
        return partition, _Range(prefix, prefix + "\U0010ffff")
    _, operator, value = rest.split()
    limit = _text(values[value])
    if operator == ">=":
        return partition, _Range(limit)
    if operator == "<=":
        return partition, _Range("", limit)
    if operator == "=":
        return partition, _Range(limit, limit)
    raise ExpressionError(f"not supported by this model: {text!r}")


def _expression(request: Request, name: str) -> Expression:
    return Expression(request[name], request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues"))


def _projected(item: Item, request: Request) -> Item:
    if "ProjectionExpression" not in request:
        return item
    names = request.get("ExpressionAttributeNames") or {}
    wanted = (names.get(name, name) for name in request["ProjectionExpression"].replace(" ", "").split(","))
    return {name: item[name] for name in wanted if name in item}


def _text(value: Value) -> str:
    return str(value.get("S", value.get("N")))


def _size(item: Item) -> int:
    return len(orjson.dumps(item, default=str))


def _snake(operation: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
