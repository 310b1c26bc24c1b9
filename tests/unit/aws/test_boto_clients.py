"""Tests of the settings of boto3's clients."""

from __future__ import annotations

from typing import Any

import pytest

from chaincast.aws import boto_clients, dynamodb_batch
from chaincast.sessions import cleanup, heartbeat_handler


def test_a_client_keeps_as_many_connections_as_requests_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that is smaller than the number of threads opens a connection, with a TLS handshake, for each request."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    at_once = max(heartbeat_handler._MAX_PARALLEL_REQUESTS, cleanup.MAX_PARALLEL_RELEASES, dynamodb_batch._DELETING)
    for client in (boto_clients.dynamodb.__wrapped__(), boto_clients.counters(1)):
        config: Any = client.meta.config  # its options are set dynamically
        assert config.max_pool_connections >= at_once
