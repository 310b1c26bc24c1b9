"""Making what appends to app sources, from a function's settings and environment."""

from __future__ import annotations

from chaincast.aws import boto_clients as clients
from chaincast.aws import environment as resources
from chaincast.aws.append import Appender
from chaincast.config.function_settings import Settings
from chaincast.eventlog.log_store import Log
from chaincast.fanout.queue import FanoutQueue


def make_appender(settings: Settings) -> Appender:
    """What appends to app sources."""
    database = clients.dynamodb()
    log = Log(database, resources.name_of(resources.LOG), settings.log_seconds)
    queue = FanoutQueue(clients.sqs(), resources.name_of(resources.FANOUT_QUEUE))
    return Appender(database, resources.name_of(resources.STATE), log, queue, settings.shards)
