"""The start of a resumption in the message function: check cursors, plan the replays and their holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import uuid4

from chaincast.errors import Code, RequestError
from chaincast.eventlog.log_store import LogReader
from chaincast.jobs.messages import Job, Replay
from chaincast.model.cursors import format_cursor, parse_cursor
from chaincast.model.holds import HoldKey, Item
from chaincast.replay.holds import place_hold

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class PlannedReplay:
    """A replay whose hold is written in the transaction that makes its topics live.

    The job is queued before: a job without a hold ends by itself, but a hold without a job would never be released.
    """

    def __init__(self, key: HoldKey, dialect: str, since: int, now_ms: int, order: Callable[[Job], None]) -> None:
        self.key = key
        self._dialect = dialect
        self._since = since
        self._now_ms = now_ms
        self._order = order
        self._is_queued = False

    def enqueue(self) -> None:
        """Queue the replay's job, once."""
        if not self._is_queued:
            self._order(Replay(self.key.connection_id, self._dialect, self.key.source, self.key.shards, self.key.token))
            self._is_queued = True

    def hold(self, table: str, before: Item | None) -> TransactWriteItemTypeDef:
        """Return the write of the hold, conditional on the present one (`before`)."""
        return place_hold(table, self.key, self._since, self._now_ms, before)


class Resumption:
    """Plans replays. `newest` returns the number of a source's newest batch; `order` queues a job."""

    def __init__(
        self,
        log: LogReader,
        newest: Callable[[str], int],
        order: Callable[[Job], None],
        shards: int,
    ) -> None:
        self._log = log
        self._newest = newest
        self._order = order
        self._shards = shards

    def check(self, since: Mapping[str, str]) -> None:
        """Check that each source can be resumed from its cursor. Raise BAD_CURSOR or CURSOR_EXPIRED."""
        for source, cursor in since.items():
            after = parse_cursor(cursor)
            newest = self._newest(source)
            first = self._log.first(source)
            oldest = newest if first is None else first - 1
            if after > newest:
                raise RequestError(
                    Code.BAD_CURSOR,
                    f"since {cursor!r} of {source!r} is ahead of the newest, {format_cursor(newest)!r}: "
                    "it is of another deployment; subscribe without it",
                )
            if after < oldest:
                raise expired(source, cursor, oldest)

    def plan(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> Sequence[PlannedReplay]:
        """Return the replays that begin after these cursors. Each begins with the write of its hold."""
        return [
            PlannedReplay(
                HoldKey(connection_id, source, self._shards, uuid4().hex),
                dialect,
                parse_cursor(cursor),
                now_ms,
                self._order,
            )
            for source, cursor in since.items()
        ]

    def newest_cursors(self, sources: Iterable[str]) -> dict[str, str]:
        """Return the newest cursor of each source, read consistently."""
        return {source: format_cursor(self._newest(source)) for source in sources}


def expired(source: str, cursor: str, oldest: int) -> RequestError:
    """Return the error for a cursor that is older than the log. `oldest`: the oldest cursor that works."""
    first = format_cursor(oldest)
    return RequestError(
        Code.CURSOR_EXPIRED,
        f"since {cursor!r} of {source!r} is older than what is kept; the oldest is {first!r}",
        details={"source": source, "oldest": first},
    )
