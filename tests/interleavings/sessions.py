"""Connections and their messages on the model's tables, with the product's handlers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from chaincast.auth.jwt import Authenticator
from chaincast.aws import environment
from chaincast.config.function_settings import Settings
from chaincast.errors import Code, RequestError
from chaincast.eventlog.checkpoint import newest
from chaincast.eventlog.log_store import LogReader
from chaincast.jobs.messages import Job
from chaincast.metrics.counters import total
from chaincast.metrics.logger import make_logger
from chaincast.model.topics import Topic
from chaincast.policy.rate_limits import Limits
from chaincast.protocol.commands import User
from chaincast.replay.start import Resumption
from chaincast.sessions.cleanup import ConnectionCleanup
from chaincast.sessions.connection_store import Connection
from chaincast.sessions.disconnect_handler import DisconnectHandler
from chaincast.sessions.message_factory import make_message_handler
from chaincast.sessions.stores import make_stores
from tests.aws_model.tables import Table, Tables
from tests.interleavings.client import SteppingClient
from tests.interleavings.scheduler import Scheduler
from tests.lambda_functions import SETTINGS, TABLES
from tests.unit.handler_fakes import CountingMetrics

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Reply: TypeAlias = Mapping[str, Any]  # a parsed message

NOW = 1_700_000_000_000
ADDRESS = "192.0.2.1"
NAMES = {
    "connections": environment.CONNECTIONS,
    "subscriptions": environment.SUBSCRIPTIONS,
    "log": environment.LOG,
    "history": environment.HISTORY,
    "state": environment.STATE,
}


class Tokens:
    """Accepts each user's name as their token; a `+` at its end makes the user premium."""

    def authenticate(self, token: str) -> User | None:
        if not token:
            raise RequestError(Code.AUTH_FAILED, "no token")
        return User(token.rstrip("+"), premium=token.endswith("+"))


class Sessions:
    """Connections, their records and subscriptions, and the functions that change them."""

    def __init__(self, scheduler: Scheduler, settings: Settings | None = None) -> None:
        keys = {name: TABLES[variable] for name, variable in NAMES.items()}
        tables = {name: Table(partition, sort or "") for name, (partition, sort) in keys.items()}
        self.tables = Tables(tables, lambda: 0.0, limited=False)
        client: Any = SteppingClient(self.tables, scheduler)
        self.client: DynamoDBClient = client
        self.settings = settings or replace(
            SETTINGS, networks=("anvil",), auth="optional", subscriptions_per_connection=3, premium_topics=("alerts",)
        )
        self.jobs: list[Job] = []
        self.closed: set[str] = set()
        """Connections that API Gateway has closed."""
        self.replies: dict[str, Reply] = {}
        """The reply to each message, by its name."""
        self.stores = make_stores(self.client, "connections", "subscriptions", "state")
        self._metrics = CountingMetrics()
        self._logger = make_logger("test")
        self._logger.setLevel("CRITICAL")  # an error is a reply, which `problems` reports
        unused: Any = None
        authenticator: Authenticator = Tokens()
        self._messages = make_message_handler(
            self.settings,
            self.stores,
            unused,
            Resumption(LogReader(self.client, "log"), self._newest, self._enqueue, 1),
            authenticator,
            unused,
            unused,
            self._metrics,
            self._logger,
            lambda: NOW,
        )
        self._cleanup = ConnectionCleanup(self.stores, Limits(), lambda: NOW + 3_600_000)
        self._disconnects = DisconnectHandler(self._cleanup, self._metrics)

    def _newest(self, source: str) -> int:
        return newest(self.client, "state", source)

    def _enqueue(self, job: Job) -> None:
        self.jobs.append(job)

    def connect(self, connection_id: str = "c1", *, user: str = "", premium: bool = False) -> None:
        """Open a connection, before any actor runs."""
        record = Connection(connection_id, "chaincast.v1", ADDRESS, "", NOW, user=user, premium=premium)
        self.stores.connections.put(record)
        self.stores.open_counter.opened(record)

    def send(self, connection_id: str = "c1", **message: object) -> Callable[[], None]:
        """Return an actor: the function that handles a message. Its reply is kept under the message's `id`."""

        def handle() -> None:
            event: Any = {
                "requestContext": {"connectionId": connection_id, "eventType": "MESSAGE"},
                "body": json.dumps(message),
            }
            response = self._messages.handle(event)
            if "body" in response and connection_id not in self.closed:
                self.replies[str(message.get("id", ""))] = json.loads(response["body"])

        return handle

    def disconnect(self, connection_id: str = "c1") -> Callable[[], None]:
        """Return an actor: the function of `$disconnect`."""

        def handle() -> None:
            self.closed.add(connection_id)
            event: Any = {"requestContext": {"connectionId": connection_id, "eventType": "DISCONNECT"}}
            self._disconnects.handle(event)

        return handle

    def remove_gone(self, connection_id: str, topics: Sequence[str]) -> Callable[[], None]:
        """Return an actor: the cleanup of fan-out, which has seen rows of these topics and got 410."""

        def remove() -> None:
            self.closed.add(connection_id)
            self._cleanup.remove_gone([connection_id], topics, [1])

        return remove

    def rows(self, connection_id: str = "c1") -> set[str]:
        """Return the topics that fan-out reads for a connection."""
        return {topic for topic in self._topics(connection_id) if not topic.startswith(("connection/", "resuming/"))}

    def holds(self, connection_id: str = "c1") -> list[Mapping[str, Any]]:
        """Return the holds of a connection."""
        items = self.tables.tables["subscriptions"].items()
        return [i for i in items if i["connection_id"]["S"] == connection_id and "since" in i]

    def index(self, connection_id: str = "c1") -> set[str] | None:
        """Return the topics of a connection's index item; None if there is none."""
        for item in self.tables.tables["subscriptions"].items():
            if item["topic_shard"]["S"] == f"connection/{connection_id}":
                return set(item["topics"]["SS"]) if "topics" in item else set()
        return None

    def _topics(self, connection_id: str) -> list[str]:
        items = self.tables.tables["subscriptions"].items()
        partitions = [i["topic_shard"]["S"] for i in items if i["connection_id"]["S"] == connection_id]
        return [partition.rpartition("#")[0] or partition for partition in partitions]

    def heal(self, topics: Sequence[str]) -> None:
        """Run the cleanup of closed connections, as fan-out and the heartbeat do when they meet one."""
        for connection_id in sorted(self.closed):
            self.remove_gone(connection_id, topics)()

    def problems(self, connection_id: str = "c1", *, counts: bool = True) -> list[str]:
        """Return which promises about a connection do not hold after all actors have ended.

        `counts`: False if a function ended before its time, after which the counts are wrong for two hours at most.
        """
        rows, index = self.rows(connection_id), self.index(connection_id)
        record = self.stores.connections.get(connection_id)
        found = [f"{name}: {reply}" for name, reply in self.replies.items() if reply.get("code") == Code.INTERNAL]
        if rows != (index or set()):
            found.append(f"rows {sorted(rows)}, but the index item has {sorted(index or ())}")
        if len(rows) > self.settings.subscriptions_per_connection:
            found.append(f"{len(rows)} topics; the limit is {self.settings.subscriptions_per_connection}")
        if connection_id in self.closed and (rows or index is not None):
            found.append(
                f"the connection is closed, but has rows {sorted(rows)} and an index item: {index is not None}"
            )
        user, premium = ("", False) if record is None else (record.user, record.premium)
        for topic in map(Topic.parse, rows):
            if topic.is_private and topic.scope != user:
                found.append(f"{user or 'nobody'} listens to {topic}")
            if self.settings.premium.covers(topic) and not premium:
                found.append(f"{user or 'nobody'}, who is not premium, listens to {topic}")
        counted = total(self.stores.open_counter.read(NOW), "Subscriptions")
        if counts and counted != len(rows):
            found.append(f"{counted} subscriptions are counted, there are {len(rows)}")
        return found
