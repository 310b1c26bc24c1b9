"""CloudWatch metrics of a network's listener, printed once a minute as EMF log lines.

Source: Amazon CloudWatch, "Embedding metrics within logs"; CloudWatch reads these lines from any log group.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from time import monotonic, time

from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

INTERVAL = 60.0
NAMESPACE = "Chaincast"


@dataclass(slots=True)
class _Calls:
    seconds: list[float] = field(default_factory=list)
    errors: int = 0


class ListenerMetrics:
    """Metrics of one network. Gauges describe the newest block; counters cover the time since the last print."""

    def __init__(self, network: str) -> None:
        self._network = network
        self._since = monotonic()
        self._head = -1
        self._done = -1
        self._timestamp = 0
        self._blocks = self._events = self._failovers = 0
        self._depths: list[int] = []
        self._calls: dict[str, _Calls] = defaultdict(_Calls)

    def observe_head(self, number: int) -> None:
        """Record the chain's head."""
        self._head = max(self._head, number)

    def count_written(self, number: int, timestamp: int, events: int, blocks: int = 1) -> None:
        """Count written blocks up to `number` (with `timestamp` in s) and their events."""
        self._done, self._timestamp = number, timestamp
        self._blocks += blocks
        self._events += events

    def count_reorganisation(self, depth: int) -> None:
        """Count a reorganisation that undid `depth` blocks."""
        self._depths.append(depth)

    def count_failover(self, endpoint: str) -> None:
        self._failovers += 1

    def count_call(self, endpoint: str, seconds: float, failed: bool) -> None:
        """Count a request to an endpoint."""
        calls = self._calls[endpoint]
        calls.seconds.append(seconds)
        calls.errors += failed

    def print_stopped(self) -> None:
        """Print `ListenerStopped` immediately: the listener exits, and a person has to act."""
        metrics = EphemeralMetrics(namespace=NAMESPACE, service="listener")
        metrics.add_dimension("network", self._network)
        metrics.add_metric("ListenerStopped", MetricUnit.Count, 1)
        metrics.flush_metrics()

    def lag(self) -> tuple[int, float]:
        """Return the lag behind the head in blocks, and the age of the newest written block in seconds."""
        return max(self._head - self._done, 0), max(time() - self._timestamp, 0.0)

    def print_when_due(self) -> None:
        """Print and reset the metrics if a minute has passed."""
        elapsed = monotonic() - self._since
        if elapsed < INTERVAL:
            return
        metrics = EphemeralMetrics(namespace=NAMESPACE, service="listener")
        metrics.add_dimension("network", self._network)
        for name, unit, value in self._values(elapsed):
            metrics.add_metric(name, unit, value)
        for depth in self._depths:
            metrics.add_metric("ReorgDepth", MetricUnit.Count, depth)
        metrics.flush_metrics()
        for endpoint, calls in self._calls.items():
            metrics = EphemeralMetrics(namespace=NAMESPACE, service="listener")
            metrics.add_dimension("network", self._network)
            metrics.add_dimension("endpoint", endpoint)
            metrics.add_metric("RpcErrors", MetricUnit.Count, calls.errors)
            metrics.add_metric("RpcCalls", MetricUnit.Count, len(calls.seconds))
            # EMF takes at most a hundred values of one metric; keep the slowest.
            for seconds in sorted(calls.seconds)[:: -(len(calls.seconds) // 100 + 1)]:
                metrics.add_metric("RpcLatency", MetricUnit.Milliseconds, round(seconds * 1000, 2))
            metrics.flush_metrics()
        self._since = monotonic()
        self._blocks = self._events = self._failovers = 0
        self._depths.clear()
        self._calls.clear()

    def _values(self, elapsed: float) -> list[tuple[str, MetricUnit, float]]:
        values = [
            ("BlocksPerSecond", MetricUnit.CountPerSecond, self._blocks / elapsed),
            ("EventsPerSecond", MetricUnit.CountPerSecond, self._events / elapsed),
            ("Reorgs", MetricUnit.Count, len(self._depths)),
            ("Failovers", MetricUnit.Count, self._failovers),
        ]
        if self._done >= 0:
            blocks, seconds = self.lag()
            values += [
                ("HeadLagBlocks", MetricUnit.Count, blocks),
                ("HeadLagSeconds", MetricUnit.Seconds, round(seconds, 3)),
            ]
        return values
