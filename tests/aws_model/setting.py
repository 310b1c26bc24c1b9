"""Commands of a test to a model in another process: connections, subscriptions, and questions about the results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from tests.aws_model.client import DirectClient
from tests.aws_model.expressions import Item
from tests.aws_model.gateway import READS_ALL

if TYPE_CHECKING:
    from chaincast.jobs.messages import Job
    from tests.aws_model.server import Controls, Model

V1 = "chaincast.v1"
OPEN_MS = 3_600_000
"""Age of the connections in milliseconds: none of them is still opening."""


class Setting:
    """Commands of a test, by name."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def controls(self) -> Controls:
        return {
            "connect": self.connect,
            "append": self.append,
            "long_log": self.long_log,
            "totals": self.totals,
            "resume": self.resume,
            "watch": self.watch,
            "disordered": self.disordered,
            "readers": self.readers,
            "latencies": self.latencies,
            "closed": self.closed,
            "state": self.state,
            "incomplete": self.incomplete,
        }

    def connect(self, ids: list[str], topics: list[str], dialect: str = V1) -> None:
        """Open connections with subscriptions."""
        self._subscribe(ids, topics, dialect, {})

    def _subscribe(self, ids: list[str], topics: list[str], dialect: str, since: Mapping[str, str]) -> None:
        from chaincast.replay.start import Resumption
        from chaincast.sessions.connection_store import Connection
        from chaincast.sessions.stores import make_stores

        client: Any = DirectClient(self._model.tables)
        stores = make_stores(client, "connections", "subscriptions", "state")
        unused: Any = None
        now = int(time.time() * 1000)
        resumption = Resumption(unused, unused, self._order, 1)
        with self._model.tables.without_limits():
            for connection_id in ids:
                self._model.gateway.connect(connection_id)
                stores.connections.put(Connection(connection_id, dialect, "", "", now - OPEN_MS))
                replays = resumption.plan(connection_id, dialect, since, now)
                stores.subscriptions.add(connection_id, dialect, topics, (), 50, now, replays=replays)

    def _order(self, job: Job) -> None:
        from chaincast.jobs.messages import encode_job

        self._model.queue.respond("SendMessage", {"MessageBody": encode_job(job)})

    def resume(self, ids: list[str], topics: list[str], source: str, after: int, dialect: str = V1) -> None:
        """Open connections that resume after a batch of a source."""
        from chaincast.model.cursors import format_cursor

        self._subscribe(ids, topics, dialect, {source: format_cursor(after)})

    def append(self, source: str, seq: int, items: list[Item]) -> None:
        """Append a batch to the event log."""
        for item in items:
            self._model.tables.tables["log"].stored(item).put(item["cursor"]["S"], item)
        key = {"key": {"S": f"network/{source}"}, "sort": {"S": "checkpoint"}}
        self._model.tables.tables["state"].stored(key).put("checkpoint", {**key, "seq": {"N": str(seq)}})

    def long_log(self, source: str, batches: int, events: int) -> None:
        """Let the event log of a source have many batches, from number 1 on."""
        from tests.aws_model.long_log import LongLog

        self._model.tables.tables["log"].partitions[source] = LongLog(source, batches, events)
        self.append(source, batches, [])

    def totals(self, connection_id: str) -> dict[str, Any]:
        """Return the number of events and messages of a connection, its last cursor, and if the cursors never fall."""
        received = self._model.received.get(connection_id, [])
        cursors = [cursor for _, cursor, _ in received]
        return {
            "events": sum(count for _, _, count in received),
            "messages": len(received),
            "last": cursors[-1] if cursors else 0,
            "ordered": cursors == sorted(cursors),
        }

    def readers(self, ids: list[str], bytes_per_second: float | None, buffer_bytes: float = 0.0) -> None:
        """Let clients read slower (None: everything at once). `buffer_bytes`: what waits for them already."""
        for connection_id in ids:
            client = self._model.gateway.clients[connection_id]
            client.bytes_per_second = READS_ALL if bytes_per_second is None else bytes_per_second
            client.waiting, client.read_at = buffer_bytes, self._model.clock()

    def latencies(self, ids: list[str], due: dict[str, float]) -> list[float]:
        """Return for each connection and batch the seconds from its due time to its arrival."""
        wanted, found = {int(seq): at for seq, at in due.items()}, []
        for connection_id in ids:
            previous = min(wanted) - 1
            for at, cursor, _ in self._model.received.get(connection_id, ()):
                for seq in range(previous + 1, cursor + 1):
                    if seq in wanted:
                        found.append(at - wanted[seq])
                previous = max(previous, cursor)
        return found

    def watch(self, ids: list[str]) -> None:
        """Keep the messages of connections from now on, for `disordered`."""
        for connection_id in ids:
            self._model.watched[connection_id] = []

    def disordered(self, ids: list[str], events: list[str]) -> dict[str, str]:
        """Return what is wrong with watched connections that must have these events (ids) in order.

        Repeats are no fault: the new events of a message must directly follow those of earlier messages.
        """
        wrong = {}
        for connection_id in ids:
            seen: dict[str, None] = {}
            for body in self._model.watched[connection_id]:
                seen |= dict.fromkeys(event["id"] for event in orjson.loads(body)["events"])
            if [*seen] != events:
                at = next((i for i, (a, b) in enumerate(zip(seen, events, strict=False)) if a != b), len(seen))
                wrong[connection_id] = f"{len(seen)} of {len(events)} events; the first difference is event {at}"
        return wrong

    def incomplete(self, ids: list[str], first: int, last: int, events: int) -> dict[str, Any]:
        """Return what is wrong with connections that must have all events of batches `first` to `last` in order.

        It counts the events of each message, so no batch may be divided into several messages.
        """
        wrong: dict[str, Any] = {}
        for connection_id in ids:
            at = first - 1
            for _, cursor, count in self._model.received.get(connection_id, ()):
                if cursor > at and count < (min(cursor, last) - at) * events:
                    wrong[connection_id] = f"{count} events from {at} to {cursor}"
                at = max(at, cursor)
            if at < last:
                wrong.setdefault(connection_id, f"ends at {at}")
        return wrong

    def closed(self) -> dict[str, tuple[float, float]]:
        """Return when each closed connection was first refused, and when it was closed."""
        gateway = self._model.gateway
        return {c: (gateway.first_refused.get(c, at), at) for c, (at, _) in gateway.closed.items()}

    def state(self) -> dict[str, Any]:
        """Return counts: of responses, jobs, holds, and throttled requests."""
        holds = Counter(
            "released" if "after" in item else "held"
            for item in self._model.tables.tables["subscriptions"].items()
            if "since" in item
        )
        return {
            "answers": {str(status): number for status, number in self._model.gateway.answers.items()},
            "jobs": self._model.queue.left,
            "sent": self._model.queue.sent,
            "holds": dict(holds),
            "throttled": self._model.tables.throttled,
            "requests": dict(self._model.tables.requests),
        }
