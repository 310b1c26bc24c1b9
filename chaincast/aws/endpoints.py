"""Where the hot clients send their calls; boto3 finds its endpoints by the same rules."""

from __future__ import annotations

import os


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
