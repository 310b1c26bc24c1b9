"""Every five minutes: purge quiet connections that are gone; queue what a publisher appended and did not live to queue.

Whoever sent something lately is alive; only the quiet are asked after, so the work does not grow with all connections.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics

from chaincast import dialects
from chaincast.aws import clients, resources
from chaincast.aws.appenders import make_appender
from chaincast.aws.connections import Connections, slot
from chaincast.aws.forget import Forgetter
from chaincast.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger(service="heartbeat")
metrics = Metrics(namespace="Chaincast", service="heartbeat")

QUIET_SLOTS = 2
"""Slots without a message before a connection is asked after: API Gateway itself closes after ten idle minutes."""

RESERVE_MS = 5_000
_THREADS = 16

connections = Connections(clients.dynamodb(), resources.name_of(resources.CONNECTIONS))
forgetter = Forgetter.from_environment()
settings = Settings.from_environment()
appender = make_appender(settings)
management = clients.management(resources.name_of(resources.MANAGEMENT_ENDPOINT))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: object, context: LambdaContext) -> dict[str, int]:
    """What was found: `asked`, `gone`, `left` = 1 if time ran out before the end, `healed` batches."""
    now = int(time.time() * 1000)
    counts = {"asked": 0, "gone": 0, "left": 0}
    with ThreadPoolExecutor(_THREADS) as pool:
        for name in dialects.NAMES:
            window: list[str] = []
            for connection_id in connections.quiet(name, slot(now) - QUIET_SLOTS + 1):
                if context.get_remaining_time_in_millis() < RESERVE_MS:
                    counts["left"] = 1
                    break
                window.append(connection_id)
                if len(window) == _THREADS * 4:
                    _ask(pool, window, now, counts)
            _ask(pool, window, now, counts)
    counts["healed"] = sum(map(appender.heal, settings.sources[len(settings.networks) :]))
    logger.info("heartbeat", extra=counts)
    metrics.add_metric(name="ConnectionsPurged", unit="Count", value=counts["gone"])
    return counts


def _ask(pool: ThreadPoolExecutor, window: list[str], now: int, counts: dict[str, int]) -> None:
    """Purge those of a window that are gone."""
    counts["asked"] += len(window)
    alive = pool.map(lambda connection_id: _alive(connection_id, now), window)
    gone = [connection_id for connection_id, lives in zip(window, alive, strict=True) if not lives]
    forgetter.forget(gone)
    counts["gone"] += len(gone)
    window.clear()


def _alive(connection_id: str, now: int) -> bool:
    """Whether a connection is open; one that is, is not asked after again for a while."""
    try:
        management.get_connection(ConnectionId=connection_id)
    except management.exceptions.GoneException:
        return False
    connections.touch(connection_id, now)
    return True
