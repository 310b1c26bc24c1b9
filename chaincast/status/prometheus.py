"""The status in Prometheus' text format.

Source: prometheus.io, "Exposition formats" (text, 0.0.4).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from chaincast.metrics.catalogue import COUNTERS, GAUGES, HISTOGRAMS, prometheus_name
from chaincast.metrics.counters import BOUND, INFINITE, LATENCY_BUCKETS, SUM, parse_series
from chaincast.status.report import DeploymentStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(survey: DeploymentStatus) -> str:
    """Return the text. It names every metric of the catalogue; metrics without counts have only a help line."""
    return generate_latest(_Collector(survey)).decode()


class _Collector:
    """Collector for prometheus_client."""

    def __init__(self, survey: DeploymentStatus) -> None:
        self._survey = survey
        self._of: dict[str, list[tuple[dict[str, str], int]]] = {}
        for source in (survey.counts, survey.open):
            for key, value in sorted(source.items()):
                name, labels = parse_series(key)
                self._of.setdefault(name, []).append((labels, value))

    def collect(self) -> Iterable[Metric]:
        for name in COUNTERS:
            yield _counter(name, self._of.get(name, []), self._survey.since)
        for name in HISTOGRAMS:
            yield _histogram(name, self._of.get(name, []))
        for name, values in self._gauges().items():
            yield _gauge(name, values)

    def _gauges(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        survey = self._survey
        networks = survey.listeners.items()
        found: dict[str, list[tuple[dict[str, str], float]]] = {
            "Connections": [(labels, max(value, 0)) for labels, value in self._of.get("Connections", [])],
            "Subscriptions": [({}, max(survey.open["Subscriptions"], 0))],
            "ListenerUp": [({"network": n}, float(x.until > survey.now)) for n, x in networks],
            "ListenerLagSeconds": [({"network": n}, x.lag_seconds(survey.now)) for n, x in networks],
            "ListenerLagBlocks": [({"network": n}, x.lag_blocks()) for n, x in networks],
            "QueuedMessages": [({"queue": q}, depth) for q, depth in survey.queues.items() if depth is not None],
        }
        assert found.keys() == GAUGES.keys()
        return found


def _counter(name: str, values: list[tuple[dict[str, str], int]], since: int) -> Metric:
    labels = _labels(values)
    metric = CounterMetricFamily(prometheus_name(name), COUNTERS[name].help, labels=labels)
    for own, value in values:
        metric.add_metric([own.get(label, "") for label in labels], value, created=since)
    return metric


def _gauge(name: str, values: list[tuple[dict[str, str], float]]) -> Metric:
    labels = _labels(values)
    metric = GaugeMetricFamily(prometheus_name(name), GAUGES[name].help, labels=labels)
    for own, value in values:
        metric.add_metric([own.get(label, "") for label in labels], value)
    return metric


def _histogram(name: str, values: list[tuple[dict[str, str], int]]) -> Metric:
    metric = HistogramMetricFamily(prometheus_name(name), HISTOGRAMS[name].help)
    if values:
        counts = {labels[BOUND]: value for labels, value in values if BOUND in labels}
        milliseconds = sum(value for labels, value in values if SUM in labels)
        metric.add_metric([], [*_cumulated(counts)], milliseconds / 1000)
    return metric


def _cumulated(counts: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """Return cumulative buckets. State counts a value only in the smallest bucket that holds it."""
    total = 0
    for bound in (*(f"{b:g}" for b in LATENCY_BUCKETS), INFINITE):
        total += counts.get(bound, 0)
        yield bound, total


def _labels(values: Iterable[tuple[Mapping[str, str], float]]) -> list[str]:
    return sorted({label for labels, _ in values for label in labels})
