"""Builds the handler of the lifecycle queue.

Its parts that use boto3 are built with the first job that needs them: importing boto3 takes half a second, which
greetings can do without.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from chaincast.aws.fast.poster import ConnectionPoster
from chaincast.config.function_settings import Settings
from chaincast.jobs.lifecycle_handler import LifecycleHandler
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.sessions.deadlines import DeadlineEnforcer
from chaincast.sessions.greeter import Greeter

if TYPE_CHECKING:
    from chaincast.aws.management_api import ManagementApi
    from chaincast.jobs.queue import JobQueue
    from chaincast.replay.replay_jobs import ReplayJobs
    from chaincast.sessions.connection_store import ConnectionStore
    from chaincast.sessions.stores import SessionStores


def make_lifecycle_handler(
    settings: Settings,
    stores: Callable[[], SessionStores],
    connection_api: Callable[[], ManagementApi],
    jobs: Callable[[], JobQueue],
    log_table: str,
    subscriptions_table: str,
    poster: ConnectionPoster,
    metrics: MetricsRecorder,
    logger: Logger,
) -> LifecycleHandler:
    """Return the handler of a deployment's lifecycle queue."""
    stores_once = cache(stores)

    def connections() -> ConnectionStore:
        return stores_once().connections

    @cache
    def replays() -> ReplayJobs:
        from chaincast.aws import boto_clients
        from chaincast.eventlog.log_store import LogReader
        from chaincast.replay.holds import Holds
        from chaincast.replay.replay_jobs import ReplayJobs

        client = boto_clients.dynamodb()
        log, holds = LogReader(client, log_table), Holds(client, subscriptions_table)
        subscriptions = stores_once().subscriptions
        return ReplayJobs(settings, log, holds, subscriptions, poster, jobs(), connection_api, metrics, logger)

    return LifecycleHandler(
        Greeter(settings, poster, connections, metrics, logger),
        DeadlineEnforcer(settings, poster, connections, connection_api, jobs, metrics),
        replays,
        metrics,
        logger,
    )
