"""The functions' logger: Powertools', which writes JSON; what may be a secret is taken out of every line."""

from __future__ import annotations

import json

from aws_lambda_powertools import Logger

from chaincast.metrics.redaction import scrubbed


def make_logger(service: str) -> Logger:
    """Return the logger of a function."""
    return Logger(service=service, json_serializer=_serialize)


def _serialize(line: object) -> str:
    # Compact, as Powertools writes it: CloudWatch is paid by the byte.
    separators = (",", ":")
    return json.dumps(
        scrubbed(line), default=lambda value: scrubbed(str(value)), separators=separators, ensure_ascii=False
    )
