"""Sends a new connection its greeting, as soon as API Gateway accepts messages to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from aws_lambda_powertools import Logger

from chaincast.config.function_settings import Settings
from chaincast.jobs.messages import Greet
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.protocol.commands import Connected
from chaincast.protocol.dialects import registry

if TYPE_CHECKING:
    from chaincast.aws.fast.post_outcomes import Outcomes
    from chaincast.sessions.connection_store import Connection

RETRY_DELAYS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts. API Gateway responds 410 until `$connect` has returned and the handshake is complete."""


class Poster(Protocol):
    """Posts messages to connections (chaincast/aws/fast/poster.py)."""

    async def deliver(self, payloads: Iterable[bytes], connections: Iterable[str]) -> Outcomes: ...


class ConnectionReader(Protocol):
    """Reads connection records (chaincast/sessions/connection_store.py)."""

    def get(self, connection_id: str) -> Connection | None: ...


class Greeter:
    """Sends greetings.

    `connections` returns the store of connection records. It is called only if a greeting fails, because it imports
    boto3, which takes half a second.
    """

    def __init__(
        self,
        settings: Settings,
        poster: Poster,
        connections: Callable[[], ConnectionReader],
        metrics: MetricsRecorder,
        logger: Logger,
        retry_delays: Sequence[float] = RETRY_DELAYS,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._settings = settings
        self._poster = poster
        self._connections = connections
        self._metrics = metrics
        self._logger = logger
        self._retry_delays = retry_delays
        self._clock = clock

    async def greet(self, job: Greet, *, is_last: bool) -> bool:
        """Send a greeting. Return False if it must be tried again: it was not delivered, and the connection exists.

        `is_last`: the last attempt. If API Gateway still does not know the connection, there is none: `$connect` failed
        after it had stored the record, which the heartbeat removes.
        """
        greeting = Connected(job.connection_id, self._settings.networks, self._settings.message_bytes)
        payloads = registry.get(job.dialect, self._settings.chains).outcome_messages(greeting, self._clock())
        for delay in (*self._retry_delays, None):
            outcomes = await self._poster.deliver(payloads, [job.connection_id])
            if outcomes.posted or outcomes.refused:
                self._metrics.count("MessagesOut", outcomes.posted, by="greeting")
                return True
            if outcomes.gone and (is_last or await self._is_closed(job.connection_id)):
                return True
            if delay is not None:
                await asyncio.sleep(delay)
        self._logger.warning("connection not greeted yet", connection=job.connection_id)
        return False

    async def _is_closed(self, connection_id: str) -> bool:
        return await asyncio.to_thread(lambda: self._connections().get(connection_id)) is None
