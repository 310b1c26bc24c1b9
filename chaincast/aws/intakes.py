"""Making an intake from a function's settings and environment."""

from __future__ import annotations

from pathlib import Path

import orjson

from chaincast.aws import boto_clients as clients
from chaincast.aws import environment as resources
from chaincast.aws.appenders import make_appender
from chaincast.aws.intake import Intake
from chaincast.config.function_settings import Settings
from chaincast.model.schemas import Kinds
from chaincast.publishing.items import Reader

KINDS_FILE = Path(__file__).parents[2] / "kinds.json"
"""A team's own kinds and their schemas, which infra puts beside the code: an environment variable has no room."""


def make_intake(settings: Settings, kinds_file: Path = KINDS_FILE) -> Intake:
    """What takes in what is published. Raises `BadSchema`."""
    schemas = orjson.loads(kinds_file.read_bytes()) if kinds_file.exists() else {}
    reader = Reader(Kinds(schemas), settings.app_sources)
    return Intake(clients.dynamodb(), resources.name_of(resources.STATE), reader, make_appender(settings))
