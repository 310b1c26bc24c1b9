"""The settings, tables and context of the Lambda functions in tests. Importing this module starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic

from chaincast.aws import environment
from chaincast.config.function_settings import Settings

SETTINGS = Settings(
    networks=("anvil",),
    shards=1,
    max_message_bytes=32_768,
    message_bytes=32_768,
    topics_per_message=50,
    subscriptions_per_connection=50,
)

TABLES: Mapping[str, tuple[str, str | None]] = {
    environment.CONNECTIONS: ("connection_id", None),
    environment.SUBSCRIPTIONS: ("topic_shard", "connection_id"),
    environment.LOG: ("source", "cursor"),
    environment.HISTORY: ("topic", "position"),
    environment.STATE: ("key", "sort"),
}
"""Partition and sort key of each table, by the variable with its name. tests/infra compares them with the template.

In tests a table has the name of its variable in lower case.
"""


class Context:
    """The context that Lambda passes to a function. `milliseconds`: time left for the invocation."""

    function_name = "test"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:test"
    aws_request_id = "request"

    def __init__(self, milliseconds: int = 60_000) -> None:
        self._milliseconds = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds


class RunningContext(Context):
    """A context whose time runs."""

    def __init__(self, milliseconds: int = 60_000) -> None:
        super().__init__(milliseconds)
        self._began = monotonic()

    def get_remaining_time_in_millis(self) -> int:
        return self._milliseconds - int((monotonic() - self._began) * 1000)
