"""How many connections are open, and to how many topics they listen: counted as they come and go, never by a scan.

    key `open/{slot}/{k}`, sort `open`: a number per series, of those that came in that quarter of an hour

Whoever deletes a connection's record (or its index item) counts it off, and only one can. What is miscounted all the
same, because a function ended between the two, is miscounted among those of one quarter of an hour, which nobody adds
up any more when none of them can be open: after two hours every error has healed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from zlib import crc32

from botocore.exceptions import BotoCoreError
from botocore.exceptions import ClientError as AwsError

from chaincast.aws.dynamodb_batch import read_all
from chaincast.metrics.counter_store import addition, summed
from chaincast.metrics.counters import series
from chaincast.metrics.logger import make_logger
from chaincast.sessions.connection_store import MAX_SECONDS, Connection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SLOT_SECONDS = 900
GRACE_SECONDS = 900
"""What a connection's end may be noticed late by."""

SPREAD = 8
"""Items for each slot: DynamoDB takes a thousand writes a second on one."""

_SLOTS = (MAX_SECONDS + GRACE_SECONDS) // SLOT_SECONDS
_KEEP_SECONDS = MAX_SECONDS + GRACE_SECONDS + 3600
_SORT = "open"


def slot_of(now_ms: int) -> int:
    """The quarter of an hour that a moment is in."""
    return now_ms // 1000 // SLOT_SECONDS


class Population:
    """The counting, in State. A count that cannot be written is let go: connections do not fail for it."""

    def __init__(self, client: DynamoDBClient, state: str) -> None:
        self._client = client
        self._table = state
        self._logger = make_logger("population")

    def came(self, connection: Connection) -> None:
        """A connection was put on record."""
        self._connections([(connection, connection.dialect, 1)])

    def left(self, connections: Iterable[Connection]) -> None:
        """The records of these were deleted, by the caller."""
        self._connections([(connection, connection.dialect, -1) for connection in connections])

    def turned(self, connection: Connection, dialect: str) -> None:
        """A connection turned out to speak another dialect than its record said."""
        self._connections([(connection, connection.dialect, -1), (connection, dialect, 1)])

    def listening(self, changes: Iterable[tuple[str, int, int]]) -> None:
        """Connections (id, slot of the first topic) listen to so many topics more, or fewer."""
        counts: dict[str, Counter[str]] = {}
        for connection_id, slot, change in changes:
            counts.setdefault(_key(slot, _share(connection_id)), Counter())["Subscriptions"] += change
        self._add(counts)

    def read(self, now_ms: int) -> Counter[str]:
        """The count of each series: `Connections|dialect=…`, `Subscriptions`."""
        now = slot_of(now_ms)
        keys = [_key(slot, k) for slot in range(now - _SLOTS, now + 1) for k in range(SPREAD)]
        return summed(read_all(self._client, self._table, [{"key": {"S": key}, "sort": {"S": _SORT}} for key in keys]))

    def _connections(self, changes: Iterable[tuple[Connection, str, int]]) -> None:
        counts: dict[str, Counter[str]] = {}
        for connection, dialect, change in changes:
            key = _key(slot_of(connection.connected_at), _share(connection.connection_id))
            counts.setdefault(key, Counter())[series("Connections", {"dialect": dialect})] += change
        self._add(counts)

    def _add(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        for key, changes in counts.items():
            named = {name: change for name, change in changes.items() if change}
            if not named:
                continue
            ends = (int(key.split("/")[1]) + 1) * SLOT_SECONDS + _KEEP_SECONDS
            try:
                update = addition(self._table, key, _SORT, named, "expires_at = :v", ends)
                self._client.update_item(**update)
            except (AwsError, BotoCoreError) as error:
                self._logger.warning("not counted", error=str(error), counts=dict(changes))


def _key(slot: int, k: int) -> str:
    return f"open/{slot}/{k}"


def _share(connection_id: str) -> int:
    return crc32(connection_id.encode()) % SPREAD
