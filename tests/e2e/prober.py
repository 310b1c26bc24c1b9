"""A deployed stack whose functions are invoked directly: invoking, and what the administrator puts in their way."""

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
from chaincast.sessions.connection_store import Connection, Connections
from chaincast.sessions.open_counts import Population
from chaincast.sessions.subscription_store import Subscriptions
from local.stack.local_stack import LocalStack
from tests.e2e.administrator import endpoint, session
from tests.e2e.leaks import used

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Prober:
    """One stack, its functions, and what the administrator puts in their way."""

    stack: LocalStack
    alive: str
    """A connection that somebody is behind, all the time."""
    failed: list[str] = field(default_factory=list)
    """What functions said when they failed, since it was last emptied."""
    _kept: dict[str, Any] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(int(time.time() * 10) % 1_000_000 * 100))

    def client(self, service: str) -> Any:
        """The administrator's."""
        if service not in self._kept:
            made: Any = session()
            self._kept[service] = made.client(service, endpoint_url=endpoint(self.stack))
        return self._kept[service]

    def function(self, part: str) -> Any:
        """A function's configuration."""
        if "functions" not in self._kept:
            self._kept["functions"] = self.client("lambda").list_functions()["Functions"]
        (found,) = [f for f in self._kept["functions"] if f["FunctionName"].startswith(f"Chaincast-{part}")]
        return found

    def token(self, user: str) -> str:
        """A client's, signed with the stack's secret."""
        if "secret" not in self._kept:
            found = self.client("secretsmanager").get_secret_value(SecretId=self.stack.outputs.jwt_secret)
            self._kept["secret"] = found["SecretString"]
        return used(jwt.encode({"sub": user, "exp": int(time.time()) + 3600}, self._kept["secret"], "HS256"))

    def name_of(self, part: str, variable: str) -> str:
        """What a function calls a table or queue."""
        name: str = self.function(part)["Environment"]["Variables"][f"CHAINCAST_{variable}"]
        return name

    def fresh(self, part: str, **other: str) -> None:
        """Let the next invocation find nothing that is kept in memory; and other variables, if any are given."""
        found = self.function(part)
        variables = {**found["Environment"]["Variables"], **other, "FRESH": str(next(self._numbers))}
        self.client("lambda").update_function_configuration(
            FunctionName=found["FunctionName"], Environment={"Variables": variables}
        )

    def invoke(self, part: str, event: object) -> Any:
        """What a function answers."""
        name = self.function(part)["FunctionName"]
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            self.failed.append(f"{part}: {payload}")
        return payload

    def address(self) -> str:
        number = next(self._numbers)
        return f"203.{number // 62500 % 250}.{number // 250 % 250}.{number % 250}"

    def event(self, kind: str, connection: str, address: str, body: object = None, **query: str) -> dict[str, Any]:
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

    # What they need to find.
    def tables(self, part: str) -> tuple[str, str]:
        return self.name_of(part, "STATE_TABLE"), self.name_of(part, "CONNECTIONS_TABLE")

    def connection(
        self,
        address: str,
        *,
        dialect: str = "chaincast.v1",
        topics: tuple[str, ...] = (),
        seen: int | None = None,
        user: User | None = None,
    ) -> str:
        """A connection on record that nobody is behind; where it listens; its name."""
        name, now = f"c{next(self._numbers)}=", int(time.time() * 1000) if seen is None else seen
        known = user or User("")
        _, table = self.tables("GatewayMessage")
        record = Connection(name, dialect, address, "", now, user=known.id, user_until=known.until)
        Connections(self.client("dynamodb"), table).put(record)
        if topics:
            self.rows().add(name, dialect, topics, (), 50, now)
        return name

    def fill(self, state: str, owner: str, places: int = 100) -> None:
        """As if as many connections were open as may be."""
        ids = [f"gone{i}" for i in range(places)]
        self.client("dynamodb").put_item(
            TableName=state, Item={"key": {"S": owner}, "sort": {"S": "limits"}, "open": {"SS": ids}}
        )

    def unqueue(self) -> None:
        """As if the last batch published had been appended, and its function had ended then."""
        client = self.client("dynamodb")
        with suppress(client.exceptions.ConditionalCheckFailedException):  # nothing was published yet
            client.update_item(
                TableName=self.name_of("HttpFunction", "STATE_TABLE"),
                Key=checkpoint_key("app-0"),
                UpdateExpression="SET queued = seq - :one",
                ConditionExpression="attribute_exists(seq)",
                ExpressionAttributeValues={":one": {"N": "1"}},
            )

    def forget(self, *names: str) -> None:
        """Nothing of these is left behind."""
        _, table = self.tables("GatewayMessage")
        Connections(self.client("dynamodb"), table).remove_all(names)
        self.rows().remove_all(names)

    def rows(self) -> Subscriptions:
        state, _ = self.tables("GatewayMessage")
        population = Population(self.client("dynamodb"), state)
        return Subscriptions(self.client("dynamodb"), self.name_of("GatewayMessage", "SUBSCRIPTIONS_TABLE"), population)

    def note_status(self, answer: Any) -> None:
        if answer.get("statusCode", 500) >= 300:
            self.failed.append(str(answer))

    def note_batch_failures(self, name: str, answer: Any) -> None:
        if answer.get("batchItemFailures"):
            self.failed.append(f"{name}: {answer}")
