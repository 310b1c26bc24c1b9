"""Log lines and metrics of deliveries."""

from __future__ import annotations

import time
from collections import Counter

from aws_lambda_powertools import Logger

from chaincast.fanout.delivery import Report
from chaincast.fanout.groups import BatchRun
from chaincast.metrics.recorder import MetricsRecorder


class DeliveryReporter:
    """Logs and counts the results of deliveries."""

    def __init__(self, metrics: MetricsRecorder, logger: Logger) -> None:
        self._metrics = metrics
        self._logger = logger

    def report(self, group: str, run: BatchRun, report: Report, invoked_at: float, began_at: float) -> None:
        """Log and count one delivery. Times are in seconds since the epoch."""
        self._log(group, run, report, invoked_at, began_at)
        self._count_posts(report)
        if report.delivered_up_to is None:
            self._count_delivered(run)

    def _log(self, group: str, run: BatchRun, report: Report, invoked_at: float, began_at: float) -> None:
        outcomes, batches = report.outcomes, run.batches
        sent_ms = int(run.records[0]["attributes"]["SentTimestamp"])
        # `queue`: from the arrival in SQS to the start of this invocation; `wait`: for earlier steps of the group.
        milliseconds = {"queue": invoked_at * 1000 - sent_ms, "wait": (began_at - invoked_at) * 1000, **report.ms}
        line = {
            "correlation_id": batches[-1].cursor,
            "group": group,
            "block": batches[-1].block,
            "batches": len(batches),
            "events": sum(len(batch.events) for batch in batches),
            "deliveries": report.deliveries,
            "held": report.held,
            "handed_over": report.handed_over,
            "queries": report.queries,
            "posted": outcomes.posted,
            "gone": len(outcomes.gone),
            "deferred": len(outcomes.deferred),
            "throttled": outcomes.throttled,
            "forbidden": outcomes.forbidden,
            "retried": outcomes.retried,
            "repeated": outcomes.repeated,
            "ended": round(time.time() * 1000, 3),
            "ms": {name: round(value, 3) for name, value in milliseconds.items()},
        }
        if report.delivered_up_to is None:
            self._logger.info("batch delivered", extra=line)
        else:
            self._logger.error("batch not delivered", extra={"error": report.error, **line})
        if outcomes.refused:
            self._logger.warning("messages dropped", extra={"group": group, "refused": dict(outcomes.refused)})

    def _count_posts(self, report: Report) -> None:
        outcomes = report.outcomes
        self._metrics.count("MessagesOut", outcomes.posted, by="fanout")
        for outcome, value in (
            ("delivered", outcomes.posted),
            ("gone", len(outcomes.gone)),
            ("deferred", len(outcomes.deferred)),
            ("throttled", outcomes.throttled),
            ("repeated", outcomes.repeated),
            ("refused", outcomes.refused.total()),
            ("forbidden", outcomes.forbidden),
            ("handed_over", report.handed_over),
        ):
            self._metrics.count("Posts", value, outcome=outcome)

    def _count_delivered(self, run: BatchRun) -> None:
        """Count batches that a shard has delivered: the latency of each shard, but the events only with shard 0."""
        now = time.time()
        for record, batch in zip(run.records, run.batches, strict=True):
            latency = now - int(record["attributes"]["SentTimestamp"]) / 1000
            self._metrics.observe("FanoutSeconds", max(latency, 0.0))
            if run.assignment.shard:
                continue
            self._metrics.count("Batches")
            for kind, events in Counter(event.kind for event in batch.events).items():
                self._metrics.count("EventsDelivered", events, kind=kind, network=batch.source)
