"""The retry policy of fan-out: when a batch is tried again, and when connections are given up instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from chaincast.aws.lambda_events import SqsRecord
from chaincast.fanout.groups import receive_count

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

DEADLINE_MARGIN_MS = 12_000
"""Milliseconds before the function's timeout after which no batch is begun.

A response may take five seconds and the remaining messages of a connection four. The rest is for storing progress.
"""

MAX_RETRY_SECONDS = 60

GIVE_UP_TRIES = 5
"""Tries (over about fifteen seconds) after which a few unreachable connections are closed instead of retried."""

GIVE_UP_CONNECTIONS = 50
"""Maximum number of unreachable connections that are closed. If more fail, single connections are not the cause."""


def retry_delay_seconds(tries: int) -> int:
    """Return the seconds until the next try: 1, 2, 4, … up to `MAX_RETRY_SECONDS`."""
    return min(1 << (tries - 1), MAX_RETRY_SECONDS)


def gives_up(tries: int, reached_all: bool, deferred: int) -> bool:
    """Return True if the deferred connections should be closed, so that their shard does not wait for them.

    `reached_all`: the attempt went through all connections. The clients reconnect and resume without gaps.
    """
    return reached_all and tries >= GIVE_UP_TRIES and deferred <= GIVE_UP_CONNECTIONS


class RetryQueue:
    """Makes failed messages visible again before the visibility timeout of the queue ends."""

    def __init__(self, client: Callable[[], SQSClient], url: str, logger: Logger) -> None:
        self._client = client
        self._url = url
        self._logger = logger

    def retry_soon(self, records: Iterable[SqsRecord]) -> None:
        """Let SQS deliver messages again after their retry delay, or later if a call fails.

        A failure must not fail the invocation: then SQS would deliver its other messages again, too.

        Each message is one call, because a batch call may process messages in another order than the group's.
        """
        for record in records:
            try:
                self._client().change_message_visibility(
                    QueueUrl=self._url,
                    ReceiptHandle=record["receiptHandle"],
                    VisibilityTimeout=retry_delay_seconds(receive_count(record)),
                )
            except Exception as error:  # botocore's errors, which cannot be imported without boto3
                self._logger.warning("message not made visible", extra={"id": record["messageId"], "error": str(error)})
