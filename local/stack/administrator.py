"""The administrator of the AWS emulator: MiniStack maps these credentials to the root user of its account."""

from __future__ import annotations

import boto3

from local.stack.checkout import REGION


def session() -> boto3.Session:
    """Return a boto3 session with the administrator's credentials. Its clients need `endpoint_url`."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106
