"""Runs the replay jobs of the lifecycle queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from aws_lambda_powertools import Logger

from chaincast.aws.fast.poster import ConnectionPoster
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.eventlog.log_store import LogReader
from chaincast.jobs.messages import RemoveHold, Replay
from chaincast.jobs.queue import JobQueue
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.model.holds import HoldKey
from chaincast.protocol.dialects import registry
from chaincast.replay.holds import HoldReleased, Holds
from chaincast.replay.replayer import Ending, Replayer
from chaincast.sessions.subscription_store import SubscriptionStore

CONTINUE_SECONDS = 1
"""Delay, in seconds, after which an unfinished replay continues."""

SLOW_SECONDS = 10
"""Delay, in seconds, after which a replay continues whose client reads slowly. Meanwhile its buffer becomes empty."""

STALLED_SECONDS = 2
"""Delay, in seconds, after which a replay continues whose client has read nothing."""

MAX_STALLED = 2
"""Tries of a replay, each about two seconds long, after which a connection is closed whose client reads nothing."""

HOLD_REMOVAL_SECONDS = 120
"""Delay, in seconds, before a released hold is deleted.

By then fan-out has processed every batch that was queued at the release; if not, a client may receive duplicates.
"""

_CONTINUE_SECONDS = {Ending.UNFINISHED: CONTINUE_SECONDS, Ending.SLOW: SLOW_SECONDS}


class ConnectionCloser(Protocol):
    """Closes connections (chaincast/aws/management_api.py)."""

    def close(self, connection_id: str) -> None: ...


class ReplayJobs:
    """Runs replays and deletes holds."""

    def __init__(
        self,
        settings: Settings,
        log: LogReader,
        holds: Holds,
        subscriptions: SubscriptionStore,
        poster: ConnectionPoster,
        jobs: JobQueue,
        connection_api: Callable[[], ConnectionCloser],
        metrics: MetricsRecorder,
        logger: Logger,
    ) -> None:
        self._settings = settings
        self._log = log
        self._holds = holds
        self._subscriptions = subscriptions
        self._poster = poster
        self._jobs = jobs
        self._connection_api = connection_api
        self._metrics = metrics
        self._logger = logger

    async def run(self, job: Replay, seconds: float) -> None:
        """Replay for up to `seconds`, then enqueue what follows: the rest of the replay, or the hold's deletion."""
        settings = self._settings
        replayer = Replayer(
            job, self._log, self._holds, self._subscriptions, self._poster, settings.max_message_bytes, settings.chains
        )
        ending = await replayer.run(seconds)
        line = {"connection": job.connection_id, "source": job.source, "at": replayer.at}
        self._logger.info("replayed", extra={**line, "posted": replayer.posted, "ending": ending.value})
        self._metrics.count("MessagesOut", replayer.posted, by="replay")
        if ending is Ending.LIVE:
            removal = RemoveHold(job.connection_id, job.source, job.shards, job.token)
            await asyncio.to_thread(self._jobs.enqueue, removal, HOLD_REMOVAL_SECONDS)
        if ending in _CONTINUE_SECONDS:
            await asyncio.to_thread(self._jobs.enqueue, job, _CONTINUE_SECONDS[ending])
        if ending is Ending.STALLED:
            await asyncio.to_thread(self._stalled, job)

    def _stalled(self, job: Replay) -> None:
        """Try again later, or close the connection. Its client, if there is one, connects again and resumes."""
        hold = HoldKey(job.connection_id, job.source, job.shards, job.token)
        with suppress(HoldReleased):
            if self._holds.stalled(hold) < MAX_STALLED:
                self._jobs.enqueue(job, STALLED_SECONDS)
                return
            self._logger.warning("slow connection closed", connection=job.connection_id, source=job.source)
            self._metrics.count("SlowConnectionsClosed")
            self._connection_api().close(job.connection_id)
            self._holds.remove(hold)

    async def abandon(self, job: Replay) -> None:
        """Give up a replay that fails each time: close the connection, whose client reconnects and resumes.

        The hold goes last: without it fan-out would deliver newer events, and the client would miss those between.
        """
        self._logger.error("replay given up", extra={"connection": job.connection_id, "source": job.source})
        self._metrics.count("ReplaysAbandoned")
        reason = RequestError(Code.INTERNAL, f"the replay of {job.source!r} failed: connect again and resume")
        dialect = registry.get(job.dialect, self._settings.chains)
        await self._poster.deliver(dialect.outcome_messages(reason, now_ms()), [job.connection_id])
        await asyncio.to_thread(lambda: self._connection_api().close(job.connection_id))
        hold = HoldKey(job.connection_id, job.source, job.shards, job.token)
        await asyncio.to_thread(self._holds.remove, hold)

    async def remove_hold(self, job: RemoveHold) -> None:
        """Delete a released hold, if it is still the one of the job."""
        hold = HoldKey(job.connection_id, job.source, job.shards, job.token)
        await asyncio.to_thread(self._holds.remove, hold)
