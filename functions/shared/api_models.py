"""What the HTTP API's bodies are, for those who read its OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Error(Document):
    """A refusal."""

    code: str = Field(description="stable, for programs")
    message: str = Field(description="what was wrong, with which value, and what would be right")


class Listener(Document):
    """A network's listener: `ok`, `late`, or `silent` (nobody holds the network's lease)."""

    status: str
    block: int | None
    lagBlocks: int
    lagSeconds: float


class Services(Document):
    """The parts; `redis`, `kafka` and `stacksWebSocket` are what stands in their place: tables, queue, listeners."""

    tables: dict[str, bool]
    listeners: dict[str, Listener]
    auth: bool
    publish: bool
    redis: bool
    kafka: bool
    stacksWebSocket: bool
    websocket: int = Field(description="open connections")


class Totals(Document):
    """Since the first deployment."""

    totalConnections: int
    activeConnections: int
    messagesSent: int
    messagesReceived: int


class Health(Document):
    """`ok`; `degraded`: something needs a look, `troubles` says what; `down` (503): nobody can connect or listen."""

    status: str
    healthy: bool
    timestamp: str
    uptime: int = Field(description="seconds since the first thing was counted")
    version: str
    connections: int
    services: Services
    metrics: Totals
    troubles: list[str]


class BalancerStatus(Document):
    """For load balancers: 200 or 503."""

    status: str
    healthy: bool
    connections: int


class Status(Health):
    """Health, the settings in force, and every figure of `/metrics`."""

    settings: dict[str, Any]
    figures: dict[str, int]


class ConnectionDocument(Document):
    """An open connection. Times in ms; `lastSeen` to five minutes."""

    id: str
    dialect: str
    user: str | None
    sourceIp: str
    origin: str
    connectedAt: int
    lastSeen: int


class ConnectionPage(Document):
    """`next`: give it as `after` to have more; null: there are none."""

    connections: list[ConnectionDocument]
    next: str | None


class SubscriptionDocument(Document):
    """A topic; `kinds`: limited to these, null: all."""

    topic: str
    kinds: list[str] | None


class ConnectionDetail(ConnectionDocument):
    subscriptions: list[SubscriptionDocument]


class ClosedDocument(Document):
    closed: int = Field(description="how many connections were told to close")


class TicketDocument(Document):
    """Connect with `?ticket=`, once, within `expires_in` seconds."""

    ticket: str
    expires_in: int


class PublishResult(Document):
    """Of one item: where it was told and under which id, or what is wrong with it."""

    model_config = ConfigDict(extra="allow")


class PublishedDocument(Document):
    """`results` in the order of the items; `repeated`: the idempotency key was used before, nothing was told again."""

    accepted: int
    results: list[PublishResult]
    repeated: bool = False
