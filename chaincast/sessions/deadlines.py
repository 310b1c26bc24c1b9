"""Deadlines of a connection: to join, to authenticate, and to renew a token that has ended."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from chaincast.config.function_settings import Settings
from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.jobs.messages import MAX_DELAY_SECONDS, Deadline, IdentityExpiry, Job, Requirement
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.protocol.commands import AuthenticationExpired, Outcome
from chaincast.protocol.dialects import registry
from chaincast.sessions.greeter import ConnectionReader, Poster

if TYPE_CHECKING:
    from chaincast.jobs.queue import JobQueue
    from chaincast.sessions.connection_store import Connection


class ConnectionApi(Protocol):
    """Closes connections (chaincast/aws/management_api.py)."""

    def close(self, connection_id: str) -> None: ...


class DeadlineEnforcer:
    """Closes connections that miss a deadline, and notifies those whose token ends.

    `connections`, `connection_api` and `jobs` return the services of these names. They are called with the first job
    that needs them, because they import boto3, which takes half a second that greetings can do without.
    """

    def __init__(
        self,
        settings: Settings,
        poster: Poster,
        connections: Callable[[], ConnectionReader],
        connection_api: Callable[[], ConnectionApi],
        jobs: Callable[[], JobQueue],
        metrics: MetricsRecorder,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._poster = poster
        self._connections = connections
        self._connection_api = connection_api
        self._jobs = jobs
        self._metrics = metrics
        self._clock = clock

    async def enforce(self, job: Deadline) -> None:
        """Close a connection that is open and does not meet its requirement."""
        connection = await self._find(job.connection_id)
        if connection is None or is_met(job.requirement, connection, self._clock() / 1000):
            return
        if job.requirement is not Requirement.JOINED:
            error = RequestError(Code.AUTH_FAILED, "Authentication timed out", ReplyContext("authenticate"))
            await self._notify(connection, error)
        await asyncio.to_thread(lambda: self._connection_api().close(job.connection_id))
        self._metrics.count("HandshakeTimeouts")

    async def expire_identity(self, job: IdentityExpiry) -> None:
        """Notify a connection that its user's token has ended, and set a deadline for a new one."""
        connection = await self._find(job.connection_id)
        if connection is None or connection.user_until != job.until:
            return  # closed, or renewed: a renewed token has a job of its own
        seconds_left = math.ceil(job.until - self._clock() / 1000)
        if seconds_left > 0:  # the token lasts longer than a queue message can be delayed
            await self._enqueue(job, min(seconds_left, MAX_DELAY_SECONDS))
            return
        await self._notify(connection, AuthenticationExpired(self._settings.auth_grace))
        await self._enqueue(Deadline(job.connection_id, Requirement.RENEWED), self._settings.auth_grace)
        self._metrics.count("AuthenticationsExpired")

    async def _notify(self, connection: Connection, outcome: Outcome) -> None:
        dialect = registry.get(connection.dialect, self._settings.chains)
        messages = dialect.outcome_messages(outcome, self._clock())
        outcomes = await self._poster.deliver(messages, [connection.connection_id])
        self._metrics.count("MessagesOut", outcomes.posted, by="notice")

    async def _find(self, connection_id: str) -> Connection | None:
        return await asyncio.to_thread(lambda: self._connections().get(connection_id))

    async def _enqueue(self, job: Job, delay_seconds: int) -> None:
        await asyncio.to_thread(lambda: self._jobs().enqueue(job, delay_seconds))


def is_met(requirement: Requirement, connection: Connection, now: float) -> bool:
    """Return True if a connection meets a requirement at a time (s)."""
    match requirement:
        case Requirement.JOINED:
            return connection.joined
        case Requirement.AUTHENTICATED:
            return bool(connection.user)
        case Requirement.RENEWED:
            has_ended = 0 < connection.user_until <= now
            return bool(connection.user) and not has_ended
