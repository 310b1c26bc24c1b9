"""Numbers of open connections and of their subscriptions, counted on every change, never by a scan.

    State: key `open/{period}/{k}`, sort `open`: a number per series, of connections opened in that period

The function that deletes a connection's record (or its index item) subtracts it, and only one function can delete it.
If a function crashes between the two steps, the count of that period stays wrong. Reading ignores a period as soon as
all its connections must have ended, so that every error disappears after two hours.
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
from chaincast.sessions.connection_store import MAX_CONNECTION_SECONDS, Connection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PERIOD_SECONDS = 900
"""Length of a period, in seconds. A connection belongs to the period in which it was opened."""

GRACE_SECONDS = 900
"""Maximum seconds between the end of a connection and the moment when it is noticed."""

SPREAD = 8
"""Items per period, because DynamoDB limits one item to 1,000 writes a second."""

_OPEN_PERIODS = (MAX_CONNECTION_SECONDS + GRACE_SECONDS) // PERIOD_SECONDS
_EXPIRY_SECONDS = MAX_CONNECTION_SECONDS + GRACE_SECONDS + 3600
_SORT = "open"


def period_of(now_ms: int) -> int:
    """Return the number of the period that contains a time."""
    return now_ms // 1000 // PERIOD_SECONDS


class OpenConnectionCounter:
    """Counts open connections by dialect, and subscriptions.

    A failed write is logged and otherwise ignored: a wrong count for two hours is better than a refused connection.
    """

    def __init__(self, client: DynamoDBClient, state_table: str) -> None:
        self._client = client
        self._table = state_table
        self._logger = make_logger("open-connections")

    def opened(self, connection: Connection) -> None:
        """Count a connection whose record was written."""
        self._change_connections([(connection, connection.dialect, 1)])

    def closed(self, connections: Iterable[Connection]) -> None:
        """Subtract connections whose records the caller has deleted."""
        self._change_connections([(connection, connection.dialect, -1) for connection in connections])

    def dialect_changed(self, connection: Connection, dialect: str) -> None:
        """Move a connection from the dialect of its record to another."""
        self._change_connections([(connection, connection.dialect, -1), (connection, dialect, 1)])

    def subscriptions_changed(self, changes: Iterable[tuple[str, int, int]]) -> None:
        """Add to or subtract from the number of subscriptions.

        Each change is a connection id, the period of the connection's first subscription, and a positive or negative
        number of topics.
        """
        counts: dict[str, Counter[str]] = {}
        for connection_id, period, change in changes:
            counts.setdefault(_key(period, _share(connection_id)), Counter())["Subscriptions"] += change
        self._add(counts)

    def read(self, now_ms: int) -> Counter[str]:
        """Return the current number of each series: `Connections|dialect=…` and `Subscriptions`."""
        now = period_of(now_ms)
        keys = [_key(period, k) for period in range(now - _OPEN_PERIODS, now + 1) for k in range(SPREAD)]
        return summed(read_all(self._client, self._table, [{"key": {"S": key}, "sort": {"S": _SORT}} for key in keys]))

    def _change_connections(self, changes: Iterable[tuple[Connection, str, int]]) -> None:
        counts: dict[str, Counter[str]] = {}
        for connection, dialect, change in changes:
            key = _key(period_of(connection.connected_at), _share(connection.connection_id))
            counts.setdefault(key, Counter())[series("Connections", {"dialect": dialect})] += change
        self._add(counts)

    def _add(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        for key, changes in counts.items():
            nonzero = {name: change for name, change in changes.items() if change}
            if not nonzero:
                continue
            period = int(key.split("/")[1])
            expires_at = (period + 1) * PERIOD_SECONDS + _EXPIRY_SECONDS
            try:
                update = addition(self._table, key, _SORT, nonzero, expires_at=expires_at)
                self._client.update_item(**update)
            except (AwsError, BotoCoreError) as error:
                self._logger.warning("not counted", error=str(error), counts=dict(changes))


def _key(period: int, k: int) -> str:
    return f"open/{period}/{k}"


def _share(connection_id: str) -> int:
    return crc32(connection_id.encode()) % SPREAD
