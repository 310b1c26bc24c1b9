"""Scenarios of direct invocations that make each function use all permissions of its role.

The events are like those of AWS. Each scenario first adds what the function needs to find: records of connections,
holds, batches that are not yet queued.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chaincast.auth.tickets import TicketStore
from chaincast.aws.dynamodb_batch import SINGLY
from chaincast.fanout.messages import AwaitDrained, DeliverBatch, FanoutMessage, ShardDrained, encode_message
from chaincast.jobs.messages import Deadline, Greet, IdentityExpiry, Job, RemoveHold, Replay, Requirement, encode_job
from chaincast.model.holds import HoldKey
from chaincast.model.sharding import ShardAssignment
from chaincast.protocol.commands import User
from chaincast.sessions.connection_store import ConnectionStore
from tests.e2e.leaks import register_secret
from tests.e2e.prober import Prober
from tests.e2e.unreachable import unreachable
from tests.factories import http_event, make_batch, make_event
from tests.hold_writes import hold

if TYPE_CHECKING:
    pass

LONG_AGO = 1_700_000_000_000
WORKER = ShardAssignment(1, 0, (1,))


@dataclass(slots=True)
class Probe(Prober):
    """One scenario for each function."""

    def connect(self) -> None:
        """Connect with a token, with a ticket, and from an address whose quota is used up."""
        address, name = self.address(), f"c{next(self._numbers)}"
        state, connections = self.tables("GatewayConnect")
        ticket = register_secret(
            TicketStore(self.client("dynamodb"), state).issue(User("ann"), int(time.time() * 1000))
        )
        handshake = self.event("CONNECT", name, address)
        handshake["headers"] = {"Authorization": f"Bearer {self.token('ann')}"}
        self.invoke("GatewayConnect", handshake)
        self.invoke("GatewayConnect", self.event("CONNECT", name + "t", address, ticket=ticket))
        crowded = self.address()
        self.fill_quota(state, f"ip/{crowded}")
        self.invoke("GatewayConnect", self.event("CONNECT", name + "f", crowded))
        ConnectionStore(self.client("dynamodb"), connections).remove_all([name, name + "t", name + "f"])

    def disconnect(self) -> None:
        """Disconnect a connection with a subscription."""
        name = self.connection(self.address(), topics=("price:X",))
        self.invoke("GatewayDisconnect", self.event("DISCONNECT", name, ""))

    def message(self) -> None:
        """Join, authenticate, subscribe, resume, query, unsubscribe, and break the protocol."""
        state, _ = self.tables("GatewayMessage")
        address = self.address()
        joining = self.connection(address, dialect="socketio")
        for frame in ("40", "9 nonsense"):
            self.invoke("GatewayMessage", self.event("MESSAGE", joining, address, frame))
        subscribed, user = self.connection(address), f"u{next(self._numbers)}"
        self.fill_quota(state, f"user/full{user}")
        authenticate = {"type": "authenticate", "token": self.token(user)}
        beyond_quota = {"type": "authenticate", "token": self.token(f"full{user}")}
        for body in (
            {"type": "subscribe", "topics": ["price:X"], "since": {"app-0": "000000000000"}},
            {"type": "get", "what": "tokens", "network": "anvil"},
            beyond_quota,
            authenticate,
            {"type": "subscribe", "topics": [f"user:{user}"]},
            {"type": "unsubscribe", "topics": ["price:X"]},
        ):
            self.invoke("GatewayMessage", self.event("MESSAGE", subscribed, address, body))
        self.remove(joining, subscribed)

    def lifecycle(self) -> None:
        """Run a greeting, a missed deadline, the expiry of a token, a replay and its last step."""
        now = int(time.time())
        subscriptions = self.resource_name("GatewayLifecycle", "SUBSCRIPTIONS_TABLE")
        late = self.connection(self.address(), dialect="socketio")
        ended = self.connection(self.address(), user=User("ann", expires_at=now - 5))
        database, token = self.client("dynamodb"), f"t{next(self._numbers)}"
        rows = self.subscriptions()
        rows.add(self.live_connection, "chaincast.v1", ["price:X"], (), 50, now * 1000)
        hold(database, subscriptions, HoldKey(self.live_connection, "app-0", 1, token), 0, now * 1000)
        jobs: tuple[Job, ...] = (
            Greet(self.live_connection, "chaincast.v1"),
            Deadline(late, Requirement.JOINED),
            IdentityExpiry(ended, now - 5),
            Replay(self.live_connection, "chaincast.v1", "app-0", 1, token),
            RemoveHold(self.live_connection, "app-0", 1, token),
        )
        for job in jobs:
            received = {"ApproximateReceiveCount": "1"}
            record = {"messageId": "m", "body": encode_job(job), "attributes": received}
            self.check_batch_failures("lifecycle", self.invoke("GatewayLifecycle", {"Records": [record]}))
        rows.remove_all([self.live_connection])
        self.remove(late, ended)

    def heartbeat(self) -> None:
        """Check an open connection, a closed one, one to ping and one without pong, and a batch that was not queued."""
        table = self.resource_name("GatewayHeartbeat", "CONNECTIONS_TABLE")
        connections = ConnectionStore(self.client("dynamodb"), table)
        self.publish()
        self.mark_unqueued()
        connections.mark_active(self.live_connection, LONG_AGO)
        gone = self.connection(self.address(), topics=("price:X",), seen=LONG_AGO)
        silent = self.connection(self.address(), dialect="socketio", seen=LONG_AGO)
        pinged = self.connection(self.address(), dialect="socketio")
        self.invoke("GatewayHeartbeat", {})
        self.remove(gone, silent, pinged)

    def publish(self) -> None:
        """Publish twice with the same key, the first time as if the function had crashed before queueing."""
        key, body = f"k{next(self._numbers)}", {"kind": "price", "symbol": "X", "data": {"price": 1.0}}
        event = http_event("POST", "/publish", headers={"idempotency-key": key}, body=json.dumps(body))
        self.check_status(self.invoke("HttpFunction", event))
        self.mark_unqueued()
        self.check_status(self.invoke("HttpFunction", event))

    def kafka(self) -> None:
        """Publish twice from Kafka, together with a message that cannot be decoded."""
        good = b64encode(b'{"type": "price_update", "symbol": "X", "data": {"price": 1.0}}').decode()
        offset = next(self._numbers) * 2
        record = {"topic": "price.updates", "partition": 0, "offset": offset, "value": good}
        bad = {**record, "offset": offset + 1, "value": "AAAA"}
        event = {"bootstrapServers": "broker.example:9092", "records": {"price.updates-0": [record, bad]}}
        self.check_batch_failures("kafka", self.invoke("KafkaFunction", event))
        self.mark_unqueued()
        self.check_batch_failures("kafka", self.invoke("KafkaFunction", event))

    def ticket(self) -> None:
        """Issue a ticket."""
        headers = {"authorization": f"Bearer {self.token('ann')}"}
        self.check_status(self.invoke("HttpTicket", http_event("POST", "/ticket", headers=headers)))

    def status(self) -> None:
        """Read health and metrics."""
        self.restart("HttpStatus")
        secret = self.function("HttpStatus")["Environment"]["Variables"]["CHAINCAST_METRICS_TOKEN"]
        token = register_secret(self.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
        for path in ("/health", "/metrics"):
            event = http_event("GET", path, headers={"authorization": f"Bearer {token}"})
            self.check_status(self.invoke("HttpStatus", event))

    def administer(self) -> None:
        """List all connections; show and close one; close all of a user."""
        name, user = self.connection(self.address(), topics=("price:X",)), f"u{next(self._numbers)}"
        self.fill_quota(self.resource_name("HttpAdmin", "STATE_TABLE"), f"user/{user}", 2)
        for method, path in (
            ("GET", "/connections"),
            ("GET", f"/connections/{name}"),
            ("DELETE", f"/connections/{name}"),
            ("DELETE", f"/users/{user}/connections"),
        ):
            self.check_status(self.invoke("HttpAdmin", http_event(method, path)))
        self.remove(name)

    def archive(self) -> None:
        """Archive the last published batch."""
        self.publish()
        self.invoke("ArchiveFunction", {})

    def fanout(self) -> None:
        """DeliverBatch to a closed connection, past a hold, to everyone, in a repeated attempt; change the shards."""
        subscriptions = self.resource_name("FanoutFunction", "SUBSCRIPTIONS_TABLE")
        network = f"probe{next(self._numbers)}"
        gone = self.connection(self.address(), topics=(f"network:{network}",))
        key, now = HoldKey(gone, network, 1, "t"), int(time.time() * 1000)
        hold(self.client("dynamodb"), subscriptions, key, 0, now)
        held = make_batch(make_event(network=network), seq=1, source=network)
        announced = replace(make_event(network=network), topics=("system", f"network:{network}"))
        announcement = make_batch(announced, seq=2, source=network + "x")
        for work, receives in (
            (DeliverBatch(WORKER, held), 1),
            (DeliverBatch(WORKER, announcement), 2),
            (ShardDrained(WORKER, network, 2), 1),
            (AwaitDrained(WORKER, network, 2, 1), 1),
        ):
            self.deliver(work, receives)
        self.remove(gone)

    def closed_connections(self) -> list[str]:
        """Add enough closed connections to be removed in batches. Return their ids."""
        return [self.connection(self.address(), topics=("price:MANY",), seen=LONG_AGO) for _ in range(SINGLY + 1)]

    def heartbeat_of_many(self) -> None:
        """Run the heartbeat with many closed connections."""
        names = self.closed_connections()
        self.invoke("GatewayHeartbeat", {})
        self.remove(*names)

    def fanout_to_many(self) -> None:
        """DeliverBatch an event to many closed connections."""
        names = self.closed_connections()
        event = replace(make_event(), topics=("price:MANY",))
        self.deliver(DeliverBatch(WORKER, make_batch(event, seq=1, source=f"probe{next(self._numbers)}")), 1)
        self.remove(*names)

    def fanout_unreadable(self) -> None:
        """Make fan-out retry a message that it cannot decode."""
        self.deliver(None, 1)

    def fanout_gives_up(self) -> None:
        """Make fan-out close a connection after several posts that failed with status 503."""
        self._fanout_refused(503, receives=6)

    def fanout_hands_over(self) -> None:
        """Make fan-out hand a connection over to replay whose posts are refused with status 429."""
        self._fanout_refused(429, receives=1)

    def _fanout_refused(self, status: int, receives: int) -> None:
        """DeliverBatch while the management API refuses all posts."""
        network = f"probe{next(self._numbers)}"
        connection = self.connection(self.address(), topics=(f"network:{network}",))
        batch = make_batch(make_event(network=network), seq=2, source=network)
        with unreachable(self.stack.emulator.port, status) as port:
            management = self.resource_name("FanoutFunction", "MANAGEMENT_ENDPOINT")
            proxy = management.replace(f":{self.stack.emulator.port}/", f":{port}/")
            self.restart("FanoutFunction", CHAINCAST_MANAGEMENT_ENDPOINT=proxy)
            self.deliver(DeliverBatch(WORKER, batch), receives)
        self.restart("FanoutFunction")
        self.remove(connection)

    def deliver(self, work: FanoutMessage | None, receives: int) -> None:
        """Invoke fan-out with a message of its queue; None stands for one that it cannot decode."""
        record = {
            "messageId": "m",
            "receiptHandle": "no such",
            "body": "nonsense" if work is None else encode_message(work),
            "attributes": {
                "MessageGroupId": "probe#0",
                "ApproximateReceiveCount": str(receives),
                "SentTimestamp": str(int(time.time() * 1000)),
            },
        }
        self.invoke("FanoutFunction", {"Records": [record]})
