"""Direct invocation of a deployed stack's functions, and preparation of what they find there."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import jwt

from chaincast.eventlog.checkpoint import checkpoint_key
from chaincast.protocol.commands import User
from chaincast.sessions.cleanup import HANDSHAKE_MS
from chaincast.sessions.connection_store import Connection, ConnectionStore
from chaincast.sessions.stores import make_stores
from chaincast.sessions.subscription_store import SubscriptionStore
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.leaks import register_secret

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Prober:
    """One stack and its functions, with an administrator's access to its tables."""

    stack: LocalStack
    live_connection: str
    """Id of a connection with a client that stays connected."""
    failed: list[str] = field(default_factory=list)
    """Errors of functions, since the list was last emptied."""
    _cache: dict[str, Any] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(int(time.time() * 10) % 1_000_000 * 100))

    def client(self, service: str) -> Any:
        """Return an administrator's client of an AWS service."""
        if service not in self._cache:
            administrator: Any = session()
            self._cache[service] = administrator.client(service, endpoint_url=endpoint(self.stack))
        return self._cache[service]

    def function(self, part: str) -> Any:
        """Return the configuration of the function whose logical id begins with `part`."""
        if "functions" not in self._cache:
            self._cache["functions"] = self.client("lambda").list_functions()["Functions"]
        (function,) = [f for f in self._cache["functions"] if f["FunctionName"].startswith(f"Chaincast-{part}")]
        return function

    def token(self, user: str) -> str:
        """Return a client token, signed with the stack's secret."""
        if "secret" not in self._cache:
            secret = self.client("secretsmanager").get_secret_value(SecretId=self.stack.outputs.jwt_secret)
            self._cache["secret"] = secret["SecretString"]
        return register_secret(
            jwt.encode({"sub": user, "exp": int(time.time()) + 3600}, self._cache["secret"], "HS256")
        )

    def resource_name(self, part: str, variable: str) -> str:
        """Return the name of a table or queue, from an environment variable of a function."""
        name: str = self.function(part)["Environment"]["Variables"][f"CHAINCAST_{variable}"]
        return name

    def restart(self, part: str, **other: str) -> None:
        """Make the next invocation a cold start, with `other` environment variables if any are given."""
        function = self.function(part)
        variables = {**function["Environment"]["Variables"], **other, "RESTART": str(next(self._numbers))}
        self.client("lambda").update_function_configuration(
            FunctionName=function["FunctionName"], Environment={"Variables": variables}
        )

    def invoke(self, part: str, event: object) -> Any:
        """Invoke a function and return its response."""
        name = self.function(part)["FunctionName"]
        result = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.loads(result["Payload"].read())
        if "FunctionError" in result:
            self.failed.append(f"{part}: {payload}")
        return payload

    def address(self) -> str:
        """Return a new client address."""
        number = next(self._numbers)
        return f"203.{number // 62500 % 250}.{number // 250 % 250}.{number % 250}"

    def event(self, kind: str, connection: str, address: str, body: object = None, **query: str) -> dict[str, Any]:
        """Return an event of the WebSocket API: CONNECT, MESSAGE or DISCONNECT."""
        return {
            "requestContext": {
                "connectionId": connection,
                "eventType": kind,
                "routeKey": "$default",
                "requestTimeEpoch": int(time.time() * 1000),
                "identity": {"sourceIp": address},
            },
            "body": body if isinstance(body, str) else json.dumps(body),
            "queryStringParameters": query or None,
            "headers": {},
        }

    def tables(self, part: str) -> tuple[str, str]:
        """Return the names of tables State and ConnectionStore."""
        return self.resource_name(part, "STATE_TABLE"), self.resource_name(part, "CONNECTIONS_TABLE")

    def connection(
        self,
        address: str,
        *,
        dialect: str = "chaincast.v1",
        topics: tuple[str, ...] = (),
        seen: int | None = None,
        user: User | None = None,
    ) -> str:
        """Add the records of a connection without a client, subscribed to topics. Returns its id."""
        # Fan-out does not remove a connection that may still be opening.
        a_while_ago = int(time.time() * 1000) - HANDSHAKE_MS
        name, now = f"c{next(self._numbers)}=", a_while_ago if seen is None else seen
        identity = user or User("")
        _, table = self.tables("GatewayMessage")
        record = Connection(name, dialect, address, "", now, user=identity.id, user_until=identity.expires_at)
        ConnectionStore(self.client("dynamodb"), table).put(record)
        if topics:
            self.subscriptions().add(name, dialect, topics, (), 50, now)
        return name

    def fill_quota(self, state: str, owner: str, places: int = 100) -> None:
        """Fill the connection quota of an address or user with connections that no longer exist."""
        ids = [f"gone{i}" for i in range(places)]
        self.client("dynamodb").put_item(
            TableName=state, Item={"key": {"S": owner}, "sort": {"S": "limits"}, "open": {"SS": ids}}
        )

    def mark_unqueued(self) -> None:
        """Mark the last published batch as not queued, as if the function had crashed after appending it."""
        client = self.client("dynamodb")
        with suppress(client.exceptions.ConditionalCheckFailedException):  # before the first publication
            client.update_item(
                TableName=self.resource_name("HttpFunction", "STATE_TABLE"),
                Key=checkpoint_key("app-0"),
                UpdateExpression="SET queued = seq - :one",
                ConditionExpression="attribute_exists(seq)",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    def remove(self, *names: str) -> None:
        """Remove the records of connections."""
        _, table = self.tables("GatewayMessage")
        ConnectionStore(self.client("dynamodb"), table).remove_all(names)
        self.subscriptions().remove_all(names)

    def subscriptions(self) -> SubscriptionStore:
        """Return the store of subscriptions."""
        state, connections = self.tables("GatewayMessage")
        subscriptions = self.resource_name("GatewayMessage", "SUBSCRIPTIONS_TABLE")
        return make_stores(self.client("dynamodb"), connections, subscriptions, state).subscriptions

    def check_status(self, response: Any) -> None:
        """Record an HTTP response with an error."""
        if response.get("statusCode", 500) >= 300:
            self.failed.append(str(response))

    def check_batch_failures(self, name: str, response: Any) -> None:
        """Record a partial batch failure."""
        if response.get("batchItemFailures"):
            self.failed.append(f"{name}: {response}")
