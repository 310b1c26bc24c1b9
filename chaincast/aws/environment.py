"""The names of what the stack made, as its functions and listeners find them in their environment.

infra sets these variables (and checks against this list in a test, since it imports nothing of the core).

Where the hot clients send their calls; boto3 finds its endpoints by the same rules.
"""

from __future__ import annotations

import os
from typing import Final

CONNECTIONS: Final = "CHAINCAST_CONNECTIONS_TABLE"
SUBSCRIPTIONS: Final = "CHAINCAST_SUBSCRIPTIONS_TABLE"
LOG: Final = "CHAINCAST_LOG_TABLE"
HISTORY: Final = "CHAINCAST_HISTORY_TABLE"
STATE: Final = "CHAINCAST_STATE_TABLE"
FANOUT_QUEUE: Final = "CHAINCAST_FANOUT_QUEUE_URL"
FANOUT_DLQ: Final = "CHAINCAST_FANOUT_DLQ_URL"
LIFECYCLE_QUEUE: Final = "CHAINCAST_LIFECYCLE_QUEUE_URL"
LIFECYCLE_DLQ: Final = "CHAINCAST_LIFECYCLE_DLQ_URL"
ARCHIVE_BUCKET: Final = "CHAINCAST_ARCHIVE_BUCKET"
REJECTED_QUEUE: Final = "CHAINCAST_REJECTED_QUEUE_URL"
MANAGEMENT_ENDPOINT: Final = "CHAINCAST_MANAGEMENT_ENDPOINT"
JWT_SECRET: Final = "CHAINCAST_JWT_SECRET"  # noqa: S105 - the name of its variable
METRICS_TOKEN: Final = "CHAINCAST_METRICS_TOKEN"  # noqa: S105 - as above


def name_of(variable: str) -> str:
    """The value of one of the variables above. Raises `KeyError` with a hint where it is not set."""
    try:
        return os.environ[variable]
    except KeyError:
        raise KeyError(
            f"{variable} is not set: the stack gives it to every function and listener that needs it"
        ) from None


def region() -> str:
    """The region of this execution environment."""
    return os.environ["AWS_REGION"] if "AWS_REGION" in os.environ else os.environ["AWS_DEFAULT_REGION"]


def dynamodb_endpoint() -> str:
    """DynamoDB's endpoint: AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, else the region's own."""
    for variable in ("AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(variable):
            return url
    here = region()
    return f"https://dynamodb.{here}.amazonaws.com{'.cn' if here.startswith('cn-') else ''}"
