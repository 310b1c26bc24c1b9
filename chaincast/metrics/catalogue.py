"""The catalogue of what is counted: one name for each thing, in CloudWatch and (in its own spelling) in Prometheus.

CloudWatch is told sums without labels, as each combination there is a metric with a price; but for a label that a
dashboard must tell apart, whose values are part of the name: `Posts` with outcome `throttled` is `PostsThrottled`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PREFIX = "chaincast"


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric says, and which label's values CloudWatch has as metrics of their own."""

    help: str
    split: str = ""


COUNTERS: Final[dict[str, Metric]] = {
    "ConnectionsOpened": Metric("connections that were let in, by dialect"),
    "ConnectionsClosed": Metric("connections that ended, by dialect"),
    "ConnectionsRefused": Metric("handshakes refused, by code"),
    "ConnectionsEnded": Metric("connections that administrators closed"),
    "ConnectionsPurged": Metric("connections found gone by the heartbeat"),
    "ConnectionsSilent": Metric("connections closed because they answered no ping"),
    "DeadlinesMissed": Metric("connections closed because they did not join or authenticate in time"),
    "MessagesIn": Metric("messages from clients, by dialect"),
    "MessagesOut": Metric("messages to clients, by what sent them"),
    "MessagesIgnored": Metric("messages of connections far over their limit, not read"),
    "Misrouted": Metric("messages of a type that is AWS's own"),
    "Errors": Metric("messages from clients answered by an error, by code"),
    "RateLimitHits": Metric("refusals because of a limit, by code"),
    "AddressesBarred": Metric("addresses barred for a while"),
    "Authentications": Metric("tokens and tickets shown, by outcome", split="outcome"),
    "AuthExpired": Metric("users' proofs that ended while they were connected"),
    "TicketsIssued": Metric("tickets issued"),
    "EventsDelivered": Metric("events that fan-out handled, by kind and network (or other source)"),
    "Batches": Metric("batches that fan-out handled"),
    "BatchesHandedBack": Metric("batches handed back to the queue, to be tried again"),
    "Posts": Metric("posts of fan-out to connections, by outcome", split="outcome"),
    "JobsHandedBack": Metric("jobs of the lifecycle queue handed back, to be tried again"),
    "EventsPublished": Metric("events that backends published"),
    "EventsRefused": Metric("events of backends that were refused"),
    "MessagesPoisoned": Metric("messages from Kafka that cannot be published"),
    "PartitionsHandedBack": Metric("Kafka partitions handed back, to be tried again"),
    "BatchesArchived": Metric("batches copied to the archive"),
    "Requests": Metric("requests to the HTTP API, by route and status"),
}

HISTOGRAMS: Final[dict[str, Metric]] = {
    "FanoutSeconds": Metric("from a batch's entry into the queue to its last post"),
}

GAUGES: Final[dict[str, Metric]] = {
    "Connections": Metric("open connections, by dialect"),
    "Subscriptions": Metric("topics that open connections listen to"),
    "ListenerUp": Metric("1 if a network's listener holds its lease, else 0"),
    "ListenerLagSeconds": Metric("age of the newest block of a network that is done"),
    "ListenerLagBlocks": Metric("blocks of a network between its head and the newest that is done"),
    "QueuedMessages": Metric("messages that wait in a queue, about"),
}


def prometheus_name(name: str) -> str:
    """`MessagesIn` in Prometheus' spelling, without the suffix of its type."""
    return f"{PREFIX}_{re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()}"


def cloudwatch_name(name: str, labels: dict[str, str]) -> str:
    """The metric that CloudWatch has for a count."""
    split = (COUNTERS.get(name) or HISTOGRAMS[name]).split
    return name + "".join(part.capitalize() for part in labels[split].lower().split("_")) if split else name
