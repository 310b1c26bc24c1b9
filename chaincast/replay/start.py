"""Resuming, as the message function begins it: check the cursors, order the replay, hold back what is live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from uuid import uuid4

from chaincast.errors import ClientError, Code
from chaincast.eventlog.log_store import LogReader
from chaincast.jobs.messages import Job, Replay
from chaincast.model.cursors import format_cursor, parse_cursor
from chaincast.replay.holds import Holds, Place


class Resumption:
    """Begins replays. `newest` knows a source's newest batch; `order` puts a job in the lifecycle queue."""

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
        """Whether each source can be resumed from its cursor. Raises `ClientError`: BAD_CURSOR, CURSOR_EXPIRED."""
        for source, cursor in since.items():
            after = parse_cursor(cursor)
            newest = self._newest(source)
            first = self._log.first(source)
            oldest = newest if first is None else first - 1
            if after > newest:
                raise ClientError(
                    Code.BAD_CURSOR,
                    f"since {cursor!r} of {source!r} is ahead of the newest, {format_cursor(newest)!r}: "
                    "it is of another deployment; subscribe without it",
                )
            if after < oldest:
                raise expired(source, cursor, oldest)

    def begin(self, connection_id: str, dialect: str, since: Mapping[str, str], now_ms: int) -> None:
        """Order the replays, and hold back what is live. The replay waits until the hold is there."""
        for source, cursor in since.items():
            place = Place(connection_id, source, self._shards, uuid4().hex)
            job = Replay(connection_id, dialect, source, place.shards, place.token)
            self._order(job)
            self._holds.place(place, parse_cursor(cursor), now_ms)

    def newest_cursors(self, sources: Iterable[str]) -> dict[str, str]:
        """The newest cursor of each source, read consistently."""
        return {source: format_cursor(self._newest(source)) for source in sources}


def expired(source: str, cursor: str, oldest: int) -> ClientError:
    """What a client is told whose cursor is older than the Log; `oldest` is the oldest it could resume from."""
    first = format_cursor(oldest)
    return ClientError(
        Code.CURSOR_EXPIRED,
        f"since {cursor!r} of {source!r} is older than what is kept; the oldest is {first!r}",
        details={"source": source, "oldest": first},
    )
