"""What a network's listener tells CloudWatch, once a minute, as EMF log lines: sums are pure, printing is not.

Source: CloudWatch embedded metric format; any log group's lines are read for it, a container's too.
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
    """One network's. Gauges are of the last block, counts of the time since the last printing."""

    def __init__(self, network: str) -> None:
        self._network = network
        self._since = monotonic()
        self._head = -1
        self._done = -1
        self._timestamp = 0
        self._blocks = self._events = self._failovers = 0
        self._depths: list[int] = []
        self._calls: dict[str, _Calls] = defaultdict(_Calls)

    def head(self, number: int) -> None:
        """The chain's head is known to be at `number`."""
        self._head = max(self._head, number)

    def done(self, number: int, timestamp: int, events: int, blocks: int = 1) -> None:
        """So many blocks up to `number` (of `timestamp`, s) were written, with so many events."""
        self._done, self._timestamp = number, timestamp
        self._blocks += blocks
        self._events += events

    def reorganised(self, depth: int) -> None:
        """So many blocks were taken back."""
        self._depths.append(depth)

    def failed_over(self, endpoint: str) -> None:
        self._failovers += 1

    def called(self, endpoint: str, seconds: float, failed: bool) -> None:
        """An endpoint was asked something."""
        calls = self._calls[endpoint]
        calls.seconds.append(seconds)
        calls.errors += failed

    def stopped(self) -> None:
        """The listener ends and needs a person: told at once, as there is no next minute."""
        metrics = EphemeralMetrics(namespace=NAMESPACE, service="listener")
        metrics.add_dimension("network", self._network)
        metrics.add_metric("ListenerStopped", MetricUnit.Count, 1)
        metrics.flush_metrics()

    def lag(self) -> tuple[int, float]:
        """How far the listener is behind the head: blocks, and seconds since the block it is at was made."""
        return max(self._head - self._done, 0), max(time() - self._timestamp, 0.0)

    def print_when_due(self) -> None:
        """Print and begin anew, if a minute has passed."""
        elapsed = monotonic() - self._since
        if elapsed < INTERVAL:
            return
        metrics = EphemeralMetrics(namespace=NAMESPACE, service="listener")
        metrics.add_dimension("network", self._network)
        for name, unit, value in self._figures(elapsed):
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
            # EMF takes a hundred values of one metric; the slowest are among them.
            for seconds in sorted(calls.seconds)[:: -(len(calls.seconds) // 100 + 1)]:
                metrics.add_metric("RpcLatency", MetricUnit.Milliseconds, round(seconds * 1000, 2))
            metrics.flush_metrics()
        self._since = monotonic()
        self._blocks = self._events = self._failovers = 0
        self._depths.clear()
        self._calls.clear()

    def _figures(self, elapsed: float) -> list[tuple[str, MetricUnit, float]]:
        figures = [
            ("BlocksPerSecond", MetricUnit.CountPerSecond, self._blocks / elapsed),
            ("EventsPerSecond", MetricUnit.CountPerSecond, self._events / elapsed),
            ("Reorgs", MetricUnit.Count, len(self._depths)),
            ("Failovers", MetricUnit.Count, self._failovers),
        ]
        if self._done >= 0:
            blocks, seconds = self.lag()
            figures += [
                ("HeadLagBlocks", MetricUnit.Count, blocks),
                ("HeadLagSeconds", MetricUnit.Seconds, round(seconds, 3)),
            ]
        return figures
