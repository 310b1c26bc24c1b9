"""The start of a resumption in the message function: check cursors, queue the replay, hold back live events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from uuid import uuid4

from chaincast.errors import Code, RequestError
from chaincast.eventlog.log_store import LogReader
from chaincast.jobs.messages import Job, Replay
from chaincast.model.cursors import format_cursor, parse_cursor
from chaincast.model.holds import HoldKey
from chaincast.replay.holds import Holds


class Resumption:
    """Starts replays. `newest` returns the number of a source's newest batch; `order` queues a job."""

    def __init__(
        self,
        log: LogReader,
        newest: Callable[[str], int],
        holds: Holds,
        order: Callable[[Job], None],
        shards: int,
    ) -> None:
        self._log = log
        self._newest = newest
        self._holds = holds
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

    def begin(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> None:
        """Queue the replays, then create the holds. A replay waits until its hold exists."""
        for source, cursor in since.items():
            place = HoldKey(connection_id, source, self._shards, uuid4().hex)
            job = Replay(connection_id, dialect, source, place.shards, place.token)
            self._order(job)
            self._holds.place(place, parse_cursor(cursor), now_ms)

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
