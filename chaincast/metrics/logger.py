"""The logger of the functions: Powertools' JSON logger, with possible secrets removed from every line."""

from __future__ import annotations

import json

from aws_lambda_powertools import Logger

from chaincast.metrics.redaction import scrubbed


def make_logger(service: str) -> Logger:
    """Return the logger of a function."""
    return Logger(service=service, json_serializer=_serialize)


def _serialize(line: object) -> str:
    # Compact, as Powertools itself writes it, because CloudWatch charges by the byte.
    separators = (",", ":")
    return json.dumps(
        scrubbed(line), default=lambda value: scrubbed(str(value)), separators=separators, ensure_ascii=False
    )
