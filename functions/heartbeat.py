"""Every five minutes: ping those whose protocol wants it, purge who is gone; queue what a publisher appended and did
not live to queue.

In protocols whose clients ping by themselves, whoever sent something lately is alive; only the quiet are asked after,
so the work does not grow with all connections. Where the server pings, every connection costs a message each time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import uvloop

from chaincast.aws import boto_clients, environment
from chaincast.aws.fast.pool import Pool
from chaincast.aws.fast.poster import CONNECTIONS, Gateway
from chaincast.aws.fast.service_client import ServiceClient
from chaincast.aws.management_api import close
from chaincast.config.function_settings import Settings
from chaincast.metrics.logger import make_logger
from chaincast.metrics.recorder import Telemetry
from chaincast.protocol.dialects import registry
from chaincast.protocol.dialects.base import Dialect
from chaincast.publishing.appender import make_appender
from chaincast.sessions.cleanup import Forgetter
from chaincast.sessions.connection_store import Connections, slot

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = make_logger("heartbeat")
telemetry = Telemetry("heartbeat")

QUIET_SLOTS = 2
"""Slots without a message before a connection is asked after: API Gateway itself closes after ten idle minutes."""

SILENT_SLOTS = 3
"""Slots without a message after which one that should have answered a ping is given up: by then it had two."""

RESERVE_MS = 15_000
_THREADS = 16
_WINDOW = 2_000

connections = Connections(boto_clients.dynamodb(), environment.name_of(environment.CONNECTIONS))
settings = Settings.from_environment()
forgetter = Forgetter.from_environment(settings.limits)
appender = make_appender(settings)
management = boto_clients.management(environment.name_of(environment.MANAGEMENT_ENDPOINT))
pinging = ServiceClient(
    Pool(environment.name_of(environment.MANAGEMENT_ENDPOINT), CONNECTIONS), environment.region(), "execute-api"
)
gateway = Gateway(pinging)
loop = uvloop.new_event_loop()


@logger.inject_lambda_context
@telemetry.watched
def handler(event: object, context: LambdaContext) -> dict[str, int]:
    """What was found: `asked` and `pinged`, of those `silent` and `gone`, `left` = 1 if time ran out before the end,
    `healed` batches."""
    pinging.refresh_credentials()
    beat = _Beat(context)
    with ThreadPoolExecutor(_THREADS) as pool:
        for name in registry.NAMES:
            beat.of(registry.get(name, settings.chains), pool)
    beat.counts["healed"] = sum(map(appender.heal, settings.sources[len(settings.networks) :]))
    logger.info("heartbeat", extra=beat.counts)
    telemetry.count("ConnectionsPurged", beat.counts["gone"])
    telemetry.count("ConnectionsSilent", beat.counts["silent"])
    telemetry.count("MessagesOut", beat.counts["pinged"], by="ping")
    return beat.counts


class _Beat:
    """One run."""

    def __init__(self, context: LambdaContext) -> None:
        self._context = context
        self._now = int(time.time() * 1000)
        self.counts = dict.fromkeys(("asked", "pinged", "silent", "gone", "left"), 0)

    def of(self, dialect: Dialect, pool: ThreadPoolExecutor) -> None:
        """See to a dialect's connections, until time runs out."""
        now = slot(self._now)
        ping = dialect.ping_message(self._now)
        found = connections.quiet(dialect.name, now - QUIET_SLOTS + 1 if ping is None else now + 1)
        for window in _windows(found):
            if self._context.get_remaining_time_in_millis() < RESERVE_MS:
                self.counts["left"] = 1
                return
            if ping is None:
                gone = self._ask([connection_id for connection_id, _ in window], pool)
            else:
                silent = [c for c, seen in window if dialect.answers_pings and seen <= now - SILENT_SLOTS]
                gone = self._close(silent, pool) + self._ping([c for c, _ in window if c not in silent], ping)
            telemetry.closed(forgetter.forget(gone).dialects)

    def _ask(self, ids: list[str], pool: ThreadPoolExecutor) -> list[str]:
        """Those that are gone."""
        self.counts["asked"] += len(ids)
        alive = pool.map(lambda connection_id: _alive(connection_id, self._now), ids)
        gone = [connection_id for connection_id, lives in zip(ids, alive, strict=True) if not lives]
        self.counts["gone"] += len(gone)
        return gone

    def _ping(self, ids: list[str], ping: bytes) -> list[str]:
        """Those that are gone."""
        outcomes = loop.run_until_complete(gateway.deliver([ping], ids))
        self.counts["pinged"] += outcomes.posted
        self.counts["gone"] += len(outcomes.gone)
        return outcomes.gone

    def _close(self, ids: list[str], pool: ThreadPoolExecutor) -> list[str]:
        """All of them."""
        self.counts["silent"] += len(ids)
        for _ in pool.map(lambda connection_id: close(management, connection_id), ids):
            pass
        return ids


def _windows(found: Iterator[tuple[str, int]]) -> Iterator[list[tuple[str, int]]]:
    window: list[tuple[str, int]] = []
    for entry in found:
        window.append(entry)
        if len(window) == _WINDOW:
            yield window
            window = []
    if window:
        yield window


def _alive(connection_id: str, now: int) -> bool:
    """Whether a connection is open; one that is, is not asked after again for a while."""
    try:
        management.get_connection(ConnectionId=connection_id)
    except management.exceptions.GoneException:
        return False
    connections.touch(connection_id, now)
    return True
