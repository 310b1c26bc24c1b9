"""Objects that the publishing functions build from the environment in the same way."""

from __future__ import annotations

from pathlib import Path

from chaincast.aws import boto_clients
from chaincast.aws.environment import STATE, require_env
from chaincast.config.function_settings import Settings
from chaincast.publishing.service import PublishService, make_publish_service
from functions.composition import make_appender

KINDS_FILE = Path(__file__).parents[1] / "kinds.json"
"""A team's own kinds with their schemas. It lies beside the code, because an environment variable is too small."""


def publish_service() -> PublishService:
    """Return the deployment's publish service. Raise `BadSchema` if the schema of a kind is invalid."""
    settings = Settings.from_environment()
    database, appender = boto_clients.dynamodb(), make_appender(settings)
    return make_publish_service(database, require_env(STATE), appender, settings.app_log_partitions, KINDS_FILE)
