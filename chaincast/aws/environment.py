"""Environment variables through which a function or a listener finds the resources of its stack.

infra/ sets these variables. It imports nothing of the core, so a test compares its list with this one.
"""

from __future__ import annotations

import os
from typing import Final, Literal

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
COUNTER_SECONDS: Final = "CHAINCAST_COUNTER_SECONDS"
JWT_SECRET: Final = "CHAINCAST_JWT_SECRET"  # noqa: S105 - the name of a variable
METRICS_TOKEN: Final = "CHAINCAST_METRICS_TOKEN"  # noqa: S105 - the name of a variable


def require_env(variable: str) -> str:
    """Return the value of an environment variable. Raise `KeyError` with a hint if it is not set."""
    try:
        return os.environ[variable]
    except KeyError:
        raise KeyError(
            f"{variable}: not set; the stack sets it for every function and listener that needs it"
        ) from None


def region() -> str:
    """Return the AWS region of this process."""
    return os.environ["AWS_REGION"] if "AWS_REGION" in os.environ else os.environ["AWS_DEFAULT_REGION"]


def service_endpoint(service: Literal["dynamodb", "sqs"]) -> str:
    """Return a service's endpoint by boto3's rules, for the asynchronous client.

    `AWS_ENDPOINT_URL_DYNAMODB` (or `_SQS`) comes first, then `AWS_ENDPOINT_URL`, then the region's own endpoint.
    """
    for variable in (f"AWS_ENDPOINT_URL_{service.upper()}", "AWS_ENDPOINT_URL"):
        if url := os.environ.get(variable):
            return url
    name = region()
    return f"https://{service}.{name}.amazonaws.com{'.cn' if name.startswith('cn-') else ''}"
