"""Catalogue of all metrics: one name for each, in CloudWatch and (in snake case) in Prometheus.

CloudWatch receives sums without labels, because each combination of labels would be a metric of its own with its own
price. The exception is a label that a dashboard must distinguish: its value becomes part of the CloudWatch name.
`Posts` with outcome `throttled` is `PostsThrottled`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PREFIX = "chaincast"


@dataclass(frozen=True, slots=True)
class Metric:
    """Description of a metric, and the label whose values are CloudWatch metrics of their own (empty: none)."""

    help: str
    split: str = ""


COUNTERS: Final[dict[str, Metric]] = {
    "ConnectionsOpened": Metric("accepted handshakes, by dialect"),
    "ConnectionsClosed": Metric("connections that ended, by dialect"),
    "ConnectionsRefused": Metric("refused handshakes, by error code"),
    "ConnectionsClosedByAdmin": Metric("connections that administrators closed"),
    "StaleConnectionsRemoved": Metric("records of closed connections that the heartbeat removed"),
    "HeartbeatErrors": Metric("requests of the heartbeat that failed; the next one checks their connections"),
    "PingTimeouts": Metric("connections closed because the client answered no ping"),
    "HandshakeTimeouts": Metric("connections closed because the client did not join or authenticate in time"),
    "MessagesIn": Metric("messages from clients, by dialect"),
    "MessagesOut": Metric("messages to clients, by the function that sent them"),
    "MessagesDropped": Metric("messages dropped unread because their connection is far over its limit"),
    "ReservedRouteMessages": Metric("messages from clients on a route key that API Gateway reserves"),
    "Errors": Metric("error replies to messages from clients, by code"),
    "RateLimitHits": Metric("requests refused because of a limit, by code"),
    "AddressesBanned": Metric("addresses banned temporarily"),
    "Authentications": Metric("tokens and tickets checked, by outcome", split="outcome"),
    "AuthenticationsExpired": Metric("authentications that expired during a connection"),
    "TicketsIssued": Metric("issued tickets"),
    "EventsDelivered": Metric("events that fan-out delivered, by kind and network (or other source)"),
    "Batches": Metric("batches that fan-out delivered"),
    "BatchesRetried": Metric("batches that fan-out returned to the queue for a retry"),
    "Posts": Metric("posts of fan-out to connections, by outcome", split="outcome"),
    "SlowConnectionsClosed": Metric("connections closed because their client read nothing for several seconds"),
    "ReplaysAbandoned": Metric("replays that failed each time, whose connections were closed"),
    "JobsRetried": Metric("jobs returned to the lifecycle queue for a retry"),
    "EventsPublished": Metric("events published by backends"),
    "EventsRefused": Metric("events of backends that were refused"),
    "KafkaMessagesRejected": Metric("messages from Kafka that cannot be published"),
    "KafkaPartitionsRetried": Metric("Kafka partitions whose remaining messages are read again"),
    "BatchesArchived": Metric("batches copied to the archive"),
    "Requests": Metric("requests to the HTTP API, by route and status"),
}

HISTOGRAMS: Final[dict[str, Metric]] = {
    "FanoutSeconds": Metric("seconds from the arrival of a batch in the queue to its last post"),
}

GAUGES: Final[dict[str, Metric]] = {
    "Connections": Metric("open connections, by dialect"),
    "Subscriptions": Metric("topic subscriptions of open connections"),
    "ListenerUp": Metric("1 if the listener of a network holds its lease, else 0"),
    "ListenerLagSeconds": Metric("age in seconds of the newest block of a network that is written to the log"),
    "ListenerLagBlocks": Metric("number of blocks between the head of a network and the newest block in the log"),
    "QueuedMessages": Metric("approximate number of messages in a queue"),
}


def prometheus_name(name: str) -> str:
    """Return the name in Prometheus without the suffix of its type, such as `chaincast_messages_in`."""
    return f"{PREFIX}_{re.sub(r'(?<!^)(?=[A-Z])', '_', name).lower()}"


def cloudwatch_name(name: str, labels: dict[str, str]) -> str:
    """Return the name in CloudWatch of a counter or histogram with these labels."""
    split = (COUNTERS.get(name) or HISTOGRAMS[name]).split
    return name + "".join(part.capitalize() for part in labels[split].lower().split("_")) if split else name
