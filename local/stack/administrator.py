"""The administrator of AWS on this machine: MiniStack takes these credentials for its account's root."""

from __future__ import annotations

import boto3

from local.stack.tools import REGION


def session() -> boto3.Session:
    """A session with the administrator's credentials; the endpoint is each client's to name."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)  # noqa: S106
