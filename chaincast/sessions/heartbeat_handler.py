"""Every five minutes: pings connections, removes those that are gone, enqueues batches that a publisher has not.

In dialects whose clients ping, a connection that sent something lately is open. Only idle connections are looked up, so
the work does not grow with the number of all connections. In dialects whose server pings, every connection costs a
message each time.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from aws_lambda_powertools import Logger

from chaincast.config.function_settings import Settings
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Dialect
from chaincast.sessions.cleanup import RemovedConnections
from chaincast.sessions.connection_store import Connection, activity_slot

if TYPE_CHECKING:
    from chaincast.aws.fast.post_outcomes import Outcomes

IDLE_SLOTS = 2
"""Activity slots without a message after which a connection is looked up. API Gateway closes it after ten minutes."""

SILENT_SLOTS = 3
"""Activity slots without a message after which a client that must answer pings is closed: it has missed two pings."""

DEADLINE_MARGIN_MS = 15_000
"""Milliseconds before the function's timeout at which it starts no further work."""

WINDOW_CONNECTIONS = 2_000
"""Number of connections that are handled together, between two looks at the time."""

_MAX_PARALLEL_REQUESTS = 16


class Records(Protocol):
    """Reads and updates connection records (chaincast/sessions/connection_store.py)."""

    def idle_since(self, dialect: str, slot: int) -> Iterator[tuple[str, int]]: ...

    def mark_active(self, connection_id: str, now_ms: int) -> Connection | None: ...


class Cleanup(Protocol):
    """Removes connections (chaincast/sessions/cleanup.py)."""

    def remove_gone(self, connection_ids: Sequence[str]) -> RemovedConnections: ...


class ConnectionApi(Protocol):
    """Looks up and closes connections (chaincast/aws/management_api.py)."""

    def is_open(self, connection_id: str) -> bool: ...

    def close(self, connection_id: str) -> None: ...


class Poster(Protocol):
    """Posts messages to connections (chaincast/aws/fast/poster.py)."""

    async def deliver(self, payloads: Iterable[bytes], connections: Iterable[str]) -> Outcomes: ...


class Appender(Protocol):
    """Appends batches of applications to the event log (chaincast/publishing/appender.py)."""

    def requeue_missing(self, source: str) -> int: ...


class HeartbeatHandler:
    """Handles the scheduled heartbeat. `loop` is the event loop that `poster` is used in."""

    def __init__(
        self,
        settings: Settings,
        records: Records,
        cleanup: Cleanup,
        connection_api: ConnectionApi,
        poster: Poster,
        loop: AbstractEventLoop,
        appender: Appender,
        metrics: MetricsRecorder,
        logger: Logger,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._records = records
        self._cleanup = cleanup
        self._connection_api = connection_api
        self._poster = poster
        self._loop = loop
        self._appender = appender
        self._metrics = metrics
        self._logger = logger
        self._clock = clock

    def handle(self, remaining_ms: Callable[[], int]) -> dict[str, int]:
        """Check the connections of all dialects. `remaining_ms` returns the time until the function is stopped.

        Return the numbers of connections that were looked up (`asked`), `pinged`, `silent` and `gone`; `left` is 1 if
        the time did not suffice for all connections; `failed` is the number of requests that failed, whose connections
        the next heartbeat checks; `healed` is the number of batches that were enqueued.
        """
        # First: SQS knows a batch that is sent again within five minutes, and a heartbeat may take four.
        healed = sum(map(self._requeue, self._settings.app_source_names))
        run = _HeartbeatRun(self._records, self._connection_api, self._post, self._clock(), remaining_ms, self._logger)
        with ThreadPoolExecutor(_MAX_PARALLEL_REQUESTS) as threads:
            # Dialects whose server pings come first: their clients leave when they hear nothing.
            for dialect in sorted(self._dialects(), key=lambda each: each.ping_message(0) is None):
                for gone in run.check_dialect(dialect, threads):
                    self._remove(gone)
        counts = run.counts
        counts["healed"] = healed
        self._logger.info("heartbeat", extra=counts)
        self._metrics.count("StaleConnectionsRemoved", counts["gone"])
        self._metrics.count("PingTimeouts", counts["silent"])
        self._metrics.count("HeartbeatErrors", counts["failed"])
        self._metrics.count("MessagesOut", counts["pinged"], by="ping")
        return counts

    def _dialects(self) -> Iterable[Dialect]:
        return [registry.get(name, self._settings.chains) for name in registry.NAMES]

    def _requeue(self, source: str) -> int:
        """Enqueue what a publisher has not. After a failure, the next heartbeat tries again."""
        try:
            return self._appender.requeue_missing(source)
        except Exception:  # botocore's errors; pings must go out in any case
            self._logger.exception("batches not enqueued", extra={"source": source})
            return 0

    def _remove(self, connection_ids: Sequence[str]) -> None:
        """Remove records. After a failure, the next heartbeat finds them again."""
        try:
            self._metrics.count_closed(self._cleanup.remove_gone(connection_ids).dialects)
        except Exception:  # botocore's errors; the other connections must be checked in any case
            self._logger.exception("connections not removed", extra={"connections": len(connection_ids)})

    def _post(self, payload: bytes, connection_ids: Sequence[str]) -> Outcomes:
        return self._loop.run_until_complete(self._poster.deliver([payload], connection_ids))


class _HeartbeatRun:
    """One run of the heartbeat and what it has counted."""

    def __init__(
        self,
        records: Records,
        connection_api: ConnectionApi,
        post: Callable[[bytes, Sequence[str]], Outcomes],
        now: int,
        remaining_ms: Callable[[], int],
        logger: Logger,
    ) -> None:
        self._records = records
        self._connection_api = connection_api
        self._post = post
        self._now = now
        self._remaining_ms = remaining_ms
        self._logger = logger
        self.counts = dict.fromkeys(("asked", "pinged", "silent", "gone", "left", "failed"), 0)

    def check_dialect(self, dialect: Dialect, threads: Executor) -> Iterator[list[str]]:
        """Check the connections of a dialect until the time is up. Yield those to remove, some at a time."""
        slot = activity_slot(self._now)
        ping = dialect.ping_message(self._now)
        candidates = self._records.idle_since(dialect.name, slot - IDLE_SLOTS + 1 if ping is None else slot + 1)
        for window in _windows(candidates):
            if self._remaining_ms() < DEADLINE_MARGIN_MS:
                self.counts["left"] = 1
                return
            if ping is None:
                yield self._look_up([connection_id for connection_id, _ in window], threads)
                continue
            silent: list[str] = []
            if dialect.answers_pings:
                silent = [connection_id for connection_id, last in window if last <= slot - SILENT_SLOTS]
            answering = [connection_id for connection_id, _ in window if connection_id not in silent]
            yield self._close(silent, threads) + self._ping(answering, ping)

    def _look_up(self, connection_ids: list[str], threads: Executor) -> list[str]:
        """Return the connections that are closed."""
        self.counts["asked"] += len(connection_ids)
        is_open = threads.map(self._is_open, connection_ids)
        gone = [id_ for id_, still_open in zip(connection_ids, is_open, strict=True) if not still_open]
        self.counts["gone"] += len(gone)
        return gone

    def _is_open(self, connection_id: str) -> bool:
        """Return True if a connection is open. It is then marked as active, so that the next run skips it."""
        try:
            if not self._connection_api.is_open(connection_id):
                return False
            self._records.mark_active(connection_id, self._now)
        except Exception as error:  # botocore's errors, throttling above all: one must not end the heartbeat
            self._failed(connection_id, error)
        return True

    def _ping(self, connection_ids: list[str], ping: bytes) -> list[str]:
        """Send a ping. Return the connections that are closed."""
        outcomes = self._post(ping, connection_ids)
        self.counts["pinged"] += outcomes.posted
        self.counts["gone"] += len(outcomes.gone)
        return outcomes.gone

    def _close(self, connection_ids: list[str], threads: Executor) -> list[str]:
        """Return the connections that are closed now."""
        is_closed = threads.map(self._close_one, connection_ids)
        closed = [id_ for id_, succeeded in zip(connection_ids, is_closed, strict=True) if succeeded]
        self.counts["silent"] += len(closed)
        return closed

    def _close_one(self, connection_id: str) -> bool:
        try:
            self._connection_api.close(connection_id)
        except Exception as error:  # botocore's errors; the next heartbeat finds the connection again
            self._failed(connection_id, error)
            return False
        return True

    def _failed(self, connection_id: str, error: Exception) -> None:
        self.counts["failed"] += 1
        self._logger.warning("connection not checked", extra={"connection": connection_id, "error": str(error)})


def _windows(candidates: Iterable[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    window: list[tuple[str, int]] = []
    for candidate in candidates:
        window.append(candidate)
        if len(window) == WINDOW_CONNECTIONS:
            yield window
            window = []
    if window:
        yield window
