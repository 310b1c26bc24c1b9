"""The status of a deployment, and the conclusions that `/health` draws from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from chaincast.eventlog.listener_status import ListenerStatus
from chaincast.metrics.counters import total
from chaincast.model.events import Json

FANOUT, FANOUT_DEAD, LIFECYCLE, LIFECYCLE_DEAD = "fanout", "fanout-dead", "lifecycle", "lifecycle-dead"
"""Labels of the queues in metrics."""


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """The status at one moment. Tables that do not respond are False, queues None."""

    now: float
    listeners: Mapping[str, ListenerStatus]
    block_ms: Mapping[str, int]
    tables: Mapping[str, bool]
    queues: Mapping[str, int | None]
    auth: bool | None
    """True if tokens can be verified, None if authentication is off."""
    counts: Counter[str] = field(default_factory=Counter)
    open: Counter[str] = field(default_factory=Counter)
    since: int = 0
    """Time of the first count (s)."""

    @property
    def connections(self) -> int:
        return total(self.open, "Connections")

    @property
    def uptime(self) -> int:
        return int(self.now - self.since) if self.since else 0

    def listener_states(self) -> dict[str, str]:
        return {name: found.state(self.now, self.block_ms.get(name, 0)) for name, found in self.listeners.items()}

    @property
    def problems(self) -> list[str]:
        """The problems, in words. Empty if all is well."""
        found = [f"table {name} does not answer" for name, answers in self.tables.items() if not answers]
        found += [f"queue {name} does not answer" for name, depth in self.queues.items() if depth is None]
        found += [
            f"the listener of {name} is {state}" for name, state in self.listener_states().items() if state != "ok"
        ]
        if self.auth is False:
            found.append("tokens cannot be checked: the auth service, or what keys are read from, does not answer")
        dead = {name: depth for name, depth in self.queues.items() if name.endswith("-dead") and depth}
        return found + [f"{depth} messages wait in dead-letter queue {name}" for name, depth in dead.items()]

    @property
    def working(self) -> bool:
        """True if clients can connect and subscribe."""
        return all(self.tables.values())


def health(survey: DeploymentStatus, version: str) -> dict[str, Json]:
    """Return the body of `/health`: the fields of the five servers' health endpoints, and this deployment's parts."""
    problems = survey.problems
    states = survey.listener_states()
    store, queue = survey.working, survey.queues.get(FANOUT) is not None
    return {
        "status": "ok" if not problems else "degraded" if survey.working else "down",
        "healthy": not problems,
        "timestamp": iso(survey.now),
        "uptime": survey.uptime,
        "version": version,
        "connections": survey.connections,
        "services": {
            "tables": {**survey.tables},
            "listeners": {
                name: {
                    "status": states[name],
                    "block": found.block,
                    "lagBlocks": found.lag_blocks(),
                    "lagSeconds": round(found.lag_seconds(survey.now), 1),
                }
                for name, found in survey.listeners.items()
            },
            "auth": survey.auth is not False,
            "publish": queue and store,
            # Fields of the servers that Chaincast replaces, filled from tables, queue, listeners and connections.
            "redis": store,
            "kafka": queue,
            "stacksWebSocket": all(state == "ok" for state in states.values()),
            "websocket": survey.connections,
        },
        "metrics": {
            "totalConnections": total(survey.counts, "ConnectionsOpened"),
            "activeConnections": survey.connections,
            "messagesSent": total(survey.counts, "MessagesOut"),
            "messagesReceived": total(survey.counts, "MessagesIn"),
        },
        "problems": [*problems],
    }


def iso(seconds: float) -> str:
    """Return a time in the format of JavaScript's `toISOString`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
