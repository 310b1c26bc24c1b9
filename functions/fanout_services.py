"""Builds fan-out's worker from the environment.

Services that only rare invocations need are made when they are needed, because they import boto3, which takes half a
second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws.environment import CONNECTIONS, FANOUT_QUEUE, LIFECYCLE_QUEUE, STATE, SUBSCRIPTIONS, require_env
from chaincast.aws.fast.poster import ConnectionPoster
from chaincast.aws.fast.sqs import QueueSender
from chaincast.fanout.delivery import Deliverer
from chaincast.fanout.handover import ReplayHandover
from chaincast.fanout.holds_reader import HoldReader
from chaincast.fanout.subscribers import SubscriberReader
from chaincast.fanout.worker import FanoutWorker
from functions.composition import management_api, session_stores

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

    from chaincast.aws.fast.service_client import ServiceClient
    from chaincast.config.function_settings import Settings
    from chaincast.fanout.retries import RetryQueue
    from chaincast.fanout.state_store import FanoutStateStore
    from chaincast.metrics.recorder import MetricsRecorder
    from chaincast.policy.rate_limits import Limits
    from chaincast.sessions.cleanup import ConnectionCleanup


def make_worker(
    settings: Settings,
    database: ServiceClient,
    queues: ServiceClient,
    poster: ConnectionPoster,
    metrics: MetricsRecorder,
    logger: Logger,
) -> FanoutWorker:
    """Return the worker of the deployment's fan-out queue."""
    table, connections = require_env(SUBSCRIPTIONS), require_env(CONNECTIONS)
    jobs = QueueSender(queues, require_env(LIFECYCLE_QUEUE))
    deliverer = Deliverer(
        SubscriberReader(database, table, connections, known=settings.auth == "required"),
        HoldReader(database, table),
        ReplayHandover(database, table, jobs, settings.shards),
        poster,
        settings.max_message_bytes,
        settings.chains,
    )
    return FanoutWorker(
        deliverer,
        fanout_state,
        lambda: fanout_retries(logger),
        lambda: connection_cleanup(settings.limits),
        management_api,
        settings.shards,
        metrics,
        logger,
    )


def fanout_state() -> FanoutStateStore:
    """Return fan-out's items in the State table."""
    from chaincast.aws import boto_clients
    from chaincast.fanout.state_store import FanoutStateStore

    return FanoutStateStore(boto_clients.dynamodb(), require_env(STATE))


def fanout_retries(logger: Logger) -> RetryQueue:
    """Return the retry side of the fan-out queue."""
    from chaincast.aws import boto_clients
    from chaincast.fanout.retries import RetryQueue

    return RetryQueue(boto_clients.sqs, require_env(FANOUT_QUEUE), logger)


def connection_cleanup(limits: Limits) -> ConnectionCleanup:
    """Return the cleanup of closed connections."""
    from chaincast.sessions.cleanup import ConnectionCleanup

    return ConnectionCleanup(session_stores(), limits)
