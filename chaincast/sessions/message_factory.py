"""Builds the message handler from its stores and services."""

from __future__ import annotations

from collections.abc import Callable

from aws_lambda_powertools import Logger

from chaincast.auth.jwt import Authenticator
from chaincast.config.function_settings import Settings
from chaincast.jobs.queue import JobQueue
from chaincast.metrics.recorder import MetricsRecorder
from chaincast.model.clock import now_ms
from chaincast.sessions.command_handler import CommandHandler, Resumption
from chaincast.sessions.history_queries import HistoryStore
from chaincast.sessions.identity_changes import IdentityChanges
from chaincast.sessions.identity_service import IdentityService
from chaincast.sessions.message_handler import ConnectionApi, MessageHandler
from chaincast.sessions.message_rate import MessageRateCounter
from chaincast.sessions.stores import SessionStores


def make_message_handler(
    settings: Settings,
    stores: SessionStores,
    history: HistoryStore,
    resumption: Resumption,
    authenticator: Authenticator,
    jobs: JobQueue,
    connection_api: ConnectionApi,
    metrics: MetricsRecorder,
    logger: Logger,
    clock: Callable[[], int] = now_ms,
) -> MessageHandler:
    """Return the handler of a deployment's messages."""
    limits = settings.limits
    identities = IdentityChanges(stores.subscriptions, IdentityService(stores.quotas, limits, jobs))
    return MessageHandler(
        settings,
        CommandHandler(stores.subscriptions, resumption, history, identities, authenticator, settings),
        MessageRateCounter(stores.connections, stores.quotas, limits, users=settings.auth != "off"),
        stores.connections,
        stores.open_counter,
        stores.quotas,
        connection_api,
        metrics,
        logger,
        clock,
    )
