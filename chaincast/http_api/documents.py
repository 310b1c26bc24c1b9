"""Bodies of the HTTP API's responses. Powertools checks responses against them and derives the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """Base of all bodies: a JSON object without further members."""

    model_config = ConfigDict(extra="forbid")


class Error(Document):
    """A refused request."""

    code: str = Field(description="error code: stable, for programs")
    message: str = Field(description="the wrong value, the rule and how to fix it: for people, may change")


class Listener(Document):
    """State of a network's listener: `ok`, `late`, or `silent` (no listener holds the network's lease)."""

    status: str
    block: int | None
    lagBlocks: int
    lagSeconds: float


class Services(Document):
    """State of the deployment's parts.

    `redis`, `kafka` and `stacksWebSocket` are names that existing monitors read: they report the tables, the queues and
    the listeners.
    """

    tables: dict[str, bool]
    listeners: dict[str, Listener]
    auth: bool
    publish: bool
    redis: bool
    kafka: bool
    stacksWebSocket: bool
    websocket: int = Field(description="number of open connections")


class Totals(Document):
    """Counts since the first deployment."""

    totalConnections: int
    activeConnections: int
    messagesSent: int
    messagesReceived: int


class Health(Document):
    """Health of the deployment.

    `status` is `ok`, `degraded` (see `problems`) or `down` (HTTP status 503: clients cannot connect or receive events).
    """

    status: str
    healthy: bool
    timestamp: str
    uptime: int = Field(description="seconds since the deployment counted its first event")
    version: str
    connections: int
    services: Services
    metrics: Totals
    problems: list[str]


class BalancerStatus(Document):
    """Health for load balancers, which read the HTTP status: 200 or 503."""

    status: str
    healthy: bool
    connections: int


class Status(Health):
    """Health, the settings in force, and the value of every metric of `/metrics`."""

    settings: dict[str, Any]
    counts: dict[str, int]


class ConnectionDocument(Document):
    """An open connection. Times are in milliseconds; the resolution of `lastSeen` is five minutes."""

    id: str
    dialect: str
    user: str | None
    sourceIp: str
    origin: str
    connectedAt: int
    lastSeen: int


class ConnectionPage(Document):
    """A page of connections. Pass `next` as `after` to get the following page; it is null on the last page."""

    connections: list[ConnectionDocument]
    next: str | None


class SubscriptionDocument(Document):
    """A subscribed topic. `kinds` are the kinds of events that the subscription is limited to; null means all."""

    topic: str
    kinds: list[str] | None


class ConnectionDetail(ConnectionDocument):
    """An open connection with its subscriptions."""

    subscriptions: list[SubscriptionDocument]


class ClosedDocument(Document):
    """Result of closing connections."""

    closed: int = Field(description="number of connections that were closed")


class TicketDocument(Document):
    """A ticket: connect with `?ticket=`, once, within `expires_in` seconds."""

    ticket: str
    expires_in: int


class PublishResult(Document):
    """Result of one published item: its event id and topics, or its error."""

    model_config = ConfigDict(extra="allow")


class PublishedDocument(Document):
    """Results of a publish request, in the order of its items.

    `repeated` is true if the idempotency key was used before; in that case nothing was published again.
    """

    accepted: int
    results: list[PublishResult]
    repeated: bool = False
