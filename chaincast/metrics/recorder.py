"""Records the metrics of a function: sums in CloudWatch (EMF lines in its log), and counters in the State table.

    key `counts/{k}`, sort the function's name: a number per series (chaincast/metrics/counters.py), and `since` (s)

Each process writes all its counters to one of `SPREAD` items, with a single update for many series.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import randrange
from typing import TYPE_CHECKING, Any, TypeAlias

from aws_lambda_powertools import Metrics

from chaincast.aws import environment
from chaincast.errors import Code, RequestError
from chaincast.metrics.catalogue import cloudwatch_name
from chaincast.metrics.counter_store import addition
from chaincast.metrics.counters import BOUND, SUM, Pending, bucket, series
from chaincast.metrics.logger import make_logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef


SPREAD = 8
"""Number of items that the processes of a function share. DynamoDB allows a thousand writes per second on one item."""

_SERIES_PER_WRITE = 100
"""Maximum number of series in one update, whose expression may have 4 KB."""

LIMITS = frozenset({Code.RATE_LIMITED, Code.MAX_CONNECTIONS, Code.MAX_SUBSCRIPTIONS})
PROOFS = frozenset({Code.AUTH_FAILED, Code.AUTH_UNAVAILABLE})

Write: TypeAlias = "Callable[[UpdateItemInputTypeDef], object]"
Handler: TypeAlias = Callable[..., Any]  # events and responses differ between functions


def counts_key(k: int) -> str:
    """Return the partition key of item `k`."""
    return f"counts/{k}"


class MetricsRecorder:
    """Records the metrics of one function.

    `write`: carries out an UpdateItem; boto3's by default.
    """

    def __init__(self, service: str, write: Write | None = None) -> None:
        self._metrics = Metrics(namespace="Chaincast", service=service)
        self._logger = make_logger(service)
        self._service = service
        self._write = write or _by_boto3
        self._pending = Pending()
        self._key = counts_key(randrange(SPREAD))  # noqa: S311 - spreads load, no secret

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Count something of the catalogue (chaincast/metrics/catalogue.py)."""
        self._metrics.add_metric(name=cloudwatch_name(name, labels), unit="Count", value=value)
        self._pending.add(series(name, labels), value, time.monotonic())

    def observe(self, name: str, seconds: float) -> None:
        """Add a latency to a histogram."""
        now = time.monotonic()
        self._metrics.add_metric(name=name, unit="Seconds", value=seconds)
        self._pending.add(series(name, {BOUND: bucket(seconds)}), 1, now)
        self._pending.add(series(name, {SUM: "ms"}), round(seconds * 1000), now)

    def count_refusal(self, error: RequestError) -> None:
        """Count a refused request, if a limit or an authentication was the reason."""
        self._metrics.add_metadata("code", error.code.value)
        if error.code in LIMITS:
            self.count("RateLimitHits", code=error.code.value)
        if error.code in PROOFS:
            self.count("Authentications", outcome=error.code.value)

    def count_authenticated(self) -> None:
        """Count a valid token or ticket."""
        self.count("Authentications", outcome="ACCEPTED")

    def count_closed(self, dialects: Iterable[str]) -> None:
        """Count closed connections, given the dialect of each."""
        for dialect, closed in Counter(dialects).items():
            self.count("ConnectionsClosed", closed, dialect=dialect)

    def flush_after(self, handler: Handler) -> Handler:
        """Return the handler, extended to send metrics and write due counters after each invocation."""

        @functools.wraps(handler)
        def invoked(*arguments: Any, **named: Any) -> Any:
            try:
                return handler(*arguments, **named)
            finally:
                if self._metrics.metric_set:
                    self._metrics.flush_metrics()
                self.record()

        return invoked

    def record(self) -> None:
        """Write the counters that are due. If that fails, they are written later, and the invocation succeeds."""
        due = self._pending.due(time.monotonic())
        try:
            for part in _parts(due):
                self._write(self._update(part))
                self._pending.written(part)
        except Exception as error:  # metrics must not fail an invocation
            self._logger.warning("counts not recorded yet", error=str(error))

    def _update(self, counts: Mapping[str, int]) -> UpdateItemInputTypeDef:
        table = environment.require_env(environment.STATE)
        return addition(table, self._key, self._service, counts, since=int(time.time()))


def _parts(counts: Mapping[str, int]) -> Iterator[dict[str, int]]:
    items = list(counts.items())
    for start in range(0, len(items), _SERIES_PER_WRITE):
        yield dict(items[start : start + _SERIES_PER_WRITE])


def _by_boto3(update: UpdateItemInputTypeDef) -> object:
    from chaincast.aws import boto_clients  # some functions do not need boto3

    return boto_clients.dynamodb().update_item(**update)
