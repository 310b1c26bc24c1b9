"""Making each function do all that its role is for: scenarios of direct invocations, with events as AWS makes them.

What a function needs to find (rows of connections, holds, batches not yet queued) the administrator puts there before.
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from chaincast.auth.tickets import Tickets
from chaincast.aws.dynamodb_batch import SINGLY
from chaincast.fanout.messages import Close, Deliver, Open, Work, encode_work
from chaincast.jobs.messages import Deadline, Expiry, Greet, Job, Replay, Settle, encode_job
from chaincast.model.sharding import Worker
from chaincast.protocol.commands import User
from chaincast.replay.holds import Holds, Place
from chaincast.sessions.connection_store import Connections
from tests.e2e.leaks import used
from tests.e2e.prober import Prober
from tests.e2e.unreachable import unreachable
from tests.factories import http_event, make_batch, make_event

if TYPE_CHECKING:
    pass

LONG_AGO = 1_700_000_000_000
WORKER = Worker(1, 0, (1,))


@dataclass(slots=True)
class Probe(Prober):
    """The functions' scenarios, each all that its role allows."""

    def connect(self) -> None:
        """With a token; with a ticket; from an address that is full; and gone again."""
        address, name = self.address(), f"c{next(self._numbers)}"
        state, connections = self.tables("GatewayConnect")
        ticket = used(Tickets(self.client("dynamodb"), state).issue(User("ann"), int(time.time() * 1000)))
        handshake = self.event("CONNECT", name, address)
        handshake["headers"] = {"Authorization": f"Bearer {self.token('ann')}"}
        self.invoke("GatewayConnect", handshake)
        self.invoke("GatewayConnect", self.event("CONNECT", name + "t", address, ticket=ticket))
        crowded = self.address()
        self.fill(state, f"ip/{crowded}")
        self.invoke("GatewayConnect", self.event("CONNECT", name + "f", crowded))
        Connections(self.client("dynamodb"), connections).remove_all([name, name + "t", name + "f"])

    def disconnect(self) -> None:
        """One that listens to something."""
        name = self.connection(self.address(), topics=("price:X",))
        self.invoke("GatewayDisconnect", self.event("DISCONNECT", name, ""))

    def message(self) -> None:
        """Who joins, says who he is, listens, resumes, asks, leaves, and breaks the protocol."""
        state, _ = self.tables("GatewayMessage")
        address = self.address()
        joining = self.connection(address, dialect="socketio")
        for frame in ("40", "9 nonsense"):
            self.invoke("GatewayMessage", self.event("MESSAGE", joining, address, frame))
        speaking, user = self.connection(address), f"u{next(self._numbers)}"
        self.fill(state, f"user/full{user}")
        shown = {"type": "authenticate", "token": self.token(user)}
        full = {"type": "authenticate", "token": self.token(f"full{user}")}
        for body in (
            {"type": "subscribe", "topics": ["price:X"], "since": {"app-0": "000000000000"}},
            {"type": "get", "what": "tokens", "network": "anvil"},
            full,
            shown,
            {"type": "subscribe", "topics": [f"user:{user}"]},
            {"type": "unsubscribe", "topics": ["price:X"]},
        ):
            self.invoke("GatewayMessage", self.event("MESSAGE", speaking, address, body))
        self.forget(joining, speaking)

    def lifecycle(self) -> None:
        """Greeting, a deadline missed, a token's end, a replay and its settling."""
        now = int(time.time())
        subscriptions = self.name_of("GatewayLifecycle", "SUBSCRIPTIONS_TABLE")
        late = self.connection(self.address(), dialect="socketio")
        ended = self.connection(self.address(), user=User("ann", until=now - 5))
        holds, token = Holds(self.client("dynamodb"), subscriptions), f"t{next(self._numbers)}"
        rows = self.rows()
        rows.add(self.alive, "chaincast.v1", ["price:X"], (), 50, now * 1000)
        holds.place(Place(self.alive, "app-0", 1, token), 0, now * 1000)
        jobs: tuple[Job, ...] = (
            Greet(self.alive, "chaincast.v1"),
            Deadline(late, "joined"),
            Expiry(ended, now - 5),
            Replay(self.alive, "chaincast.v1", "app-0", 1, token),
            Settle(self.alive, "app-0", 1, token),
        )
        for job in jobs:
            record = {"messageId": "m", "body": encode_job(job)}
            self.note_batch_failures("lifecycle", self.invoke("GatewayLifecycle", {"Records": [record]}))
        rows.remove_all([self.alive])
        self.forget(late, ended)

    def heartbeat(self) -> None:
        """One that is there, one that is gone, one that must be pinged, one that does not answer; and a batch that
        nobody queued."""
        table = self.name_of("GatewayHeartbeat", "CONNECTIONS_TABLE")
        connections = Connections(self.client("dynamodb"), table)
        self.publish()
        self.unqueue()
        connections.touch(self.alive, LONG_AGO)
        gone = self.connection(self.address(), topics=("price:X",), seen=LONG_AGO)
        silent = self.connection(self.address(), dialect="socketio", seen=LONG_AGO)
        pinged = self.connection(self.address(), dialect="socketio")
        self.invoke("GatewayHeartbeat", {})
        self.forget(gone, silent, pinged)

    def publish(self) -> None:
        """Twice with the same key: the first is not queued, as if its function had ended then."""
        key, body = f"k{next(self._numbers)}", {"kind": "price", "symbol": "X", "data": {"price": 1.0}}
        event = http_event("POST", "/publish", headers={"idempotency-key": key}, body=json.dumps(body))
        self.note_status(self.invoke("HttpFunction", event))
        self.unqueue()
        self.note_status(self.invoke("HttpFunction", event))

    def kafka(self) -> None:
        """The same, from Kafka; and a message that nobody can read."""
        good = b64encode(b'{"type": "price_update", "symbol": "X", "data": {"price": 1.0}}').decode()
        offset = next(self._numbers) * 2
        record = {"topic": "price.updates", "partition": 0, "offset": offset, "value": good}
        bad = {**record, "offset": offset + 1, "value": "AAAA"}
        event = {"bootstrapServers": "broker.example:9092", "records": {"price.updates-0": [record, bad]}}
        self.note_batch_failures("kafka", self.invoke("KafkaFunction", event))
        self.unqueue()
        self.note_batch_failures("kafka", self.invoke("KafkaFunction", event))

    def ticket(self) -> None:
        headers = {"authorization": f"Bearer {self.token('ann')}"}
        self.note_status(self.invoke("HttpTicket", http_event("POST", "/ticket", headers=headers)))

    def status(self) -> None:
        """Health, and figures."""
        self.fresh("HttpStatus")
        secret = self.function("HttpStatus")["Environment"]["Variables"]["CHAINCAST_METRICS_TOKEN"]
        token = used(self.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"])
        for path in ("/health", "/metrics"):
            event = http_event("GET", path, headers={"authorization": f"Bearer {token}"})
            self.note_status(self.invoke("HttpStatus", event))

    def administer(self) -> None:
        """All connections, one of them, and all of a user."""
        name, user = self.connection(self.address(), topics=("price:X",)), f"u{next(self._numbers)}"
        self.fill(self.name_of("HttpAdmin", "STATE_TABLE"), f"user/{user}", 2)
        for method, path in (
            ("GET", "/connections"),
            ("GET", f"/connections/{name}"),
            ("DELETE", f"/connections/{name}"),
            ("DELETE", f"/users/{user}/connections"),
        ):
            self.note_status(self.invoke("HttpAdmin", http_event(method, path)))
        self.forget(name)

    def archive(self) -> None:
        """What was published last."""
        self.publish()
        self.invoke("ArchiveFunction", {})

    def fanout(self) -> None:
        """An announcement; one who listens and is gone; one who resumes; a repeated attempt; a change of shards."""
        subscriptions = self.name_of("FanoutFunction", "SUBSCRIPTIONS_TABLE")
        network = f"probe{next(self._numbers)}"
        gone = self.connection(self.address(), topics=(f"network:{network}",))
        Holds(self.client("dynamodb"), subscriptions).place(Place(gone, network, 1, "t"), 0, int(time.time() * 1000))
        held = make_batch(make_event(network=network), seq=1, source=network)
        announced = replace(make_event(network=network), topics=("system", f"network:{network}"))
        told = make_batch(announced, seq=2, source=network + "x")
        for work, receives in (
            (Deliver(WORKER, held), 1),
            (Deliver(WORKER, told), 2),
            (Close(WORKER, network, 2), 1),
            (Open(WORKER, network, 2, 1), 1),
        ):
            self.deliver(work, receives)
        self.forget(gone)

    def many_gone(self) -> list[str]:
        """So many that they are forgotten in batches."""
        return [self.connection(self.address(), topics=("price:MANY",), seen=LONG_AGO) for _ in range(SINGLY + 1)]

    def heartbeat_of_many(self) -> None:
        names = self.many_gone()
        self.invoke("GatewayHeartbeat", {})
        self.forget(*names)

    def fanout_to_many(self) -> None:
        """Those who listen are gone, all at once."""
        names = self.many_gone()
        told = replace(make_event(), topics=("price:MANY",))
        self.deliver(Deliver(WORKER, make_batch(told, seq=1, source=f"probe{next(self._numbers)}")), 1)
        self.forget(*names)

    def fanout_unreadable(self) -> None:
        """What fan-out cannot read, it hands back, to have it again soon."""
        self.deliver(None, 1)

    def fanout_gives_up(self) -> None:
        """Who cannot be reached after some attempts is closed: posts are answered by 503, the rest as ever."""
        network = f"probe{next(self._numbers)}"
        lost = self.connection(self.address(), topics=(f"network:{network}",))
        batch = make_batch(make_event(network=network), seq=2, source=network)
        with unreachable(self.stack.emulator.port) as port:
            management = self.name_of("FanoutFunction", "MANAGEMENT_ENDPOINT")
            elsewhere = management.replace(f":{self.stack.emulator.port}/", f":{port}/")
            self.fresh("FanoutFunction", CHAINCAST_MANAGEMENT_ENDPOINT=elsewhere)
            self.deliver(Deliver(WORKER, batch), 6)
        self.fresh("FanoutFunction")
        self.forget(lost)

    def deliver(self, work: Work | None, receives: int) -> None:
        """Hand a message of the queue to fan-out; None: one that it cannot read."""
        record = {
            "messageId": "m",
            "receiptHandle": "no such",
            "body": "nonsense" if work is None else encode_work(work),
            "attributes": {
                "MessageGroupId": "probe#0",
                "ApproximateReceiveCount": str(receives),
                "SentTimestamp": str(int(time.time() * 1000)),
            },
        }
        self.invoke("FanoutFunction", {"Records": [record]})
