"""The stack's own AWS, as its administrator sees it."""

from __future__ import annotations

import boto3

from local.stack import LocalStack
from local.tools import REGION


def session() -> boto3.Session:
    """With the administrator's credentials."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)


def endpoint(stack: LocalStack) -> str:
    """Where all its services are."""
    return stack.emulator.endpoint
