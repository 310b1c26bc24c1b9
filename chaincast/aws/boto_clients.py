"""boto3 clients, made once per process and on first use, so that a cold start pays only for those that it needs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

_CONFIG = Config(
    retries={"mode": "standard", "max_attempts": 6},
    connect_timeout=3,
    read_timeout=10,
    tcp_keepalive=True,
    # Heartbeat and cleanup make 16 requests at once. botocore keeps 10 connections, and opens a new one for each
    # further request.
    max_pool_connections=32,
    # Validation takes a third of a call's CPU. The type checker and AWS check the parameters.
    parameter_validation=False,
    # The checksums of bodies that boto3 adds by default are of no use here.
    request_checksum_calculation="when_required",
)


@cache
def dynamodb() -> DynamoDBClient:
    """Return the DynamoDB client of this process."""
    return boto3.client("dynamodb", config=_CONFIG)


def counters(seconds: float) -> DynamoDBClient:
    """Return a DynamoDB client whose requests are tried once, for at most `seconds`."""
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=seconds, read_timeout=seconds
    )
    return boto3.client("dynamodb", config=_CONFIG.merge(config))


@cache
def sqs() -> SQSClient:
    """Return the SQS client of this process."""
    return boto3.client("sqs", config=_CONFIG)


@cache
def s3() -> S3Client:
    """Return the S3 client of this process."""
    return boto3.client("s3", config=_CONFIG)


@cache
def management(endpoint: str) -> ApiGatewayManagementApiClient:
    """Return the client of one API's `@connections`.

    `endpoint`: `https://{api}.execute-api.{region}.amazonaws.com/{stage}`.
    """
    return boto3.client("apigatewaymanagementapi", endpoint_url=endpoint, config=_CONFIG)
