"""Records the metrics of a function: sums in CloudWatch (EMF lines in its log), and counters in the State table.

    key `counts/{k}`, sort the function's name: a number per series (chaincast/metrics/counters.py), and `since` (s)

Each process writes all its counters to one of `SPREAD` items, with a single update for many series.
"""

from __future__ import annotations

import functools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from random import randrange
from typing import TYPE_CHECKING, Any, TypeAlias

from aws_lambda_powertools import Metrics

from chaincast.aws import environment
from chaincast.errors import Code, RequestError
from chaincast.metrics.catalogue import cloudwatch_name
from chaincast.metrics.counter_store import addition
from chaincast.metrics.counter_writers import BotoCounterWriter, CounterWriter, NotWritten, PendingWrite
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

WAIT_SECONDS = 0.05
"""Time for which an invocation waits for its counters: they must not delay a delivery. The local stack waits longer
(`COUNTER_SECONDS`), because its emulator may be slow, and its functions are seldom invoked again."""

RETRY_SECONDS = 5.0
"""Seconds after a failed write in which no other is begun."""

Handler: TypeAlias = Callable[..., Any]  # events and responses differ between functions


def counts_key(k: int) -> str:
    """Return the partition key of item `k`."""
    return f"counts/{k}"


class MetricsRecorder:
    """Records the metrics of one function.

    `writer`: writes the counters; with boto3 by default. `clock`: seconds of a monotonic clock.
    """

    def __init__(
        self, service: str, writer: CounterWriter | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._metrics = Metrics(namespace="Chaincast", service=service)
        self._logger = make_logger(service)
        self._service = service
        self._writer = writer or BotoCounterWriter()
        self._clock = clock
        self._writing: tuple[dict[str, int], PendingWrite] | None = None
        """The counts of the write in progress, and the write."""
        self._not_before = 0.0
        """Time (monotonic) before which no write begins, because the last one failed."""
        self._pending = Pending()
        self._key = counts_key(randrange(SPREAD))  # noqa: S311 - spreads load, no secret

    def count(self, name: str, value: int = 1, **labels: str) -> None:
        """Count something of the catalogue (chaincast/metrics/catalogue.py)."""
        self._metrics.add_metric(name=cloudwatch_name(name, labels), unit="Count", value=value)
        self._pending.add(series(name, labels), value, self._clock())

    def observe(self, name: str, seconds: float) -> None:
        """Add a latency to a histogram."""
        now = self._clock()
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
        """Write the counters that are due, and wait for that at most `WAIT_SECONDS`. No failure is raised.

        Counts that a failed write may have stored are dropped: rather too few than counted twice.
        """
        ends = self._clock() + float(os.environ.get(environment.COUNTER_SECONDS, WAIT_SECONDS))
        while (writing := self._begun()) is not None:
            counts, write = writing
            try:
                if not write.wait(max(ends - self._clock(), 0.0)):
                    return
                self._pending.written(counts)
            except NotWritten as error:
                self._failed("counts not recorded yet", error)
            except Exception as error:  # metrics must not fail an invocation
                self._pending.written(counts)
                self._failed("counts lost", error)
            self._writing = None

    def _begun(self) -> tuple[dict[str, int], PendingWrite] | None:
        """Return the write in progress. If there is none, begin to write what is due."""
        now = self._clock()
        if self._writing is None and now >= self._not_before:
            counts = dict(islice(self._pending.due(now).items(), _SERIES_PER_WRITE))
            if counts:
                self._writing = counts, self._writer.begin(self._update(counts))
        return self._writing

    def _failed(self, text: str, error: Exception) -> None:
        self._not_before = self._clock() + RETRY_SECONDS
        self._logger.warning(text, error=str(error))

    def _update(self, counts: Mapping[str, int]) -> UpdateItemInputTypeDef:
        table = environment.require_env(environment.STATE)
        return addition(table, self._key, self._service, counts, since=int(time.time()))
