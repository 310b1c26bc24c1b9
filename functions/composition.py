"""Objects that several composition roots build from the environment in the same way.

Modules that use boto3 are imported when they are needed: importing boto3 takes half a second, which the lifecycle
function pays only for jobs that use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaincast.aws.environment import (
    CONNECTIONS,
    FANOUT_QUEUE,
    JWT_SECRET,
    LIFECYCLE_QUEUE,
    LOG,
    MANAGEMENT_ENDPOINT,
    STATE,
    SUBSCRIPTIONS,
    require_env,
)

if TYPE_CHECKING:
    from chaincast.aws.management_api import ManagementApi
    from chaincast.config.function_settings import Settings
    from chaincast.jobs.queue import LifecycleQueue
    from chaincast.publishing.appender import Appender
    from chaincast.sessions.stores import SessionStores


def session_stores(shards: int = 1) -> SessionStores:
    """Return the stores of the deployment's sessions. `shards`: number of shards for new connections."""
    from chaincast.aws import boto_clients
    from chaincast.sessions.stores import make_stores

    return make_stores(
        boto_clients.dynamodb(), require_env(CONNECTIONS), require_env(SUBSCRIPTIONS), require_env(STATE), shards
    )


def jwt_secret() -> str:
    """Return the secret that the deployment shares with the issuer of its tokens."""
    from chaincast.aws.secrets import read_secret

    return read_secret(require_env(JWT_SECRET))


def lifecycle_queue() -> LifecycleQueue:
    """Return the deployment's lifecycle queue."""
    from chaincast.aws import boto_clients
    from chaincast.jobs.queue import LifecycleQueue

    return LifecycleQueue(boto_clients.sqs, require_env(LIFECYCLE_QUEUE))


def management_api() -> ManagementApi:
    """Return the management API of the deployment's WebSockets."""
    from chaincast.aws import boto_clients
    from chaincast.aws.management_api import ManagementApi

    endpoint = require_env(MANAGEMENT_ENDPOINT)
    return ManagementApi(lambda: boto_clients.management(endpoint))


def make_appender(settings: Settings) -> Appender:
    """Return what appends to the deployment's app sources."""
    from chaincast.aws import boto_clients
    from chaincast.eventlog.log_store import Log
    from chaincast.fanout.queue import FanoutQueue
    from chaincast.publishing.appender import Appender

    database = boto_clients.dynamodb()
    log = Log(database, require_env(LOG), settings.log_seconds)
    queue = FanoutQueue(boto_clients.sqs(), require_env(FANOUT_QUEUE))
    return Appender(database, require_env(STATE), log, queue, settings.shards)
