"""Objects that the status function builds from the environment."""

from __future__ import annotations

from aws_lambda_powertools import Logger

from chaincast.auth.factory import make_authenticator
from chaincast.aws import boto_clients
from chaincast.aws.environment import (
    CONNECTIONS,
    FANOUT_DLQ,
    FANOUT_QUEUE,
    HISTORY,
    LIFECYCLE_DLQ,
    LIFECYCLE_QUEUE,
    LOG,
    METRICS_TOKEN,
    STATE,
    SUBSCRIPTIONS,
    require_env,
)
from chaincast.aws.secrets import read_secret
from chaincast.config.function_settings import Settings
from chaincast.status.collector import StatusCollector
from chaincast.status.report import FANOUT, FANOUT_DEAD, LIFECYCLE, LIFECYCLE_DEAD
from chaincast.status.token_check import make_token_check
from functions.composition import jwt_secret


def metrics_token() -> str:
    """Return the token that `/status` and `/metrics` require."""
    return read_secret(require_env(METRICS_TOKEN))


def status_collector(settings: Settings, logger: Logger) -> StatusCollector:
    """Return the collector of the deployment's status."""
    tables = {
        "connections": (require_env(CONNECTIONS), ("connection_id",)),
        "subscriptions": (require_env(SUBSCRIPTIONS), ("topic_shard", "connection_id")),
        "log": (require_env(LOG), ("source", "cursor")),
        "history": (require_env(HISTORY), ("topic", "position")),
        "state": (require_env(STATE), ("key", "sort")),
    }
    queues = {
        FANOUT: require_env(FANOUT_QUEUE),
        FANOUT_DEAD: require_env(FANOUT_DLQ),
        LIFECYCLE: require_env(LIFECYCLE_QUEUE),
        LIFECYCLE_DEAD: require_env(LIFECYCLE_DLQ),
    }
    algorithm = "RS256" if settings.auth_jwks_url else "HS256"
    check = make_token_check(make_authenticator(settings, jwt_secret), settings.auth, algorithm, logger)
    return StatusCollector(boto_clients.dynamodb(), boto_clients.sqs(), tables, queues, settings.block_ms, check)
