"""The delivery of a source's batches: event log, fan-out, and replays of clients that resume."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from chaincast.eventlog.checkpoint import checkpoint_key
from chaincast.eventlog.log_store import Log, LogReader
from chaincast.fanout.delivery import Deliverer
from chaincast.fanout.handover import ReplayHandover
from chaincast.fanout.holds_reader import HoldReader
from chaincast.fanout.progress import DeliveryProgress
from chaincast.fanout.subscribers import SubscriberReader
from chaincast.jobs.messages import Job, RemoveHold, Replay, parse_job
from chaincast.model.batches import Batch, encode_parts
from chaincast.model.sharding import ShardAssignment
from chaincast.replay.holds import Holds
from chaincast.replay.replay_jobs import ReplayJobs
from tests.interleavings.asynchronous import Clients, SteppingService, run
from tests.interleavings.scheduler import Scheduler
from tests.interleavings.sessions import Sessions
from tests.unit.handler_fakes import CountingMetrics

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateTypeDef

WORKER = ShardAssignment(1, 0, (1,))
FOREVER = 1e9
_RECEIVES = 5


class _Queue:
    """The lifecycle queue, for both clients. A job may come at any time, whatever its delay."""

    def __init__(self, add: Callable[[Job], None]) -> None:
        self._add = add

    def enqueue(self, job: Job, delay_seconds: int = 0) -> None:
        self._add(job)

    async def send(self, messages: Sequence[tuple[str, int]]) -> list[bool]:
        for body, _ in messages:
            self._add(parse_job(body))
        return [True] * len(messages)


class Delivery(Sessions):
    """Sessions whose jobs run, and sources whose batches are delivered."""

    def __init__(self, scheduler: Scheduler, topics: Collection[str]) -> None:
        """Set up. `topics`: all that clients subscribe to."""
        self.scheduler = scheduler
        super().__init__(scheduler)
        self.clients = Clients(scheduler, self.closed)
        written = tuple(f"{topic}#" for topic in (*topics, "resuming/anvil"))
        service: Any = SteppingService(self.tables, scheduler, lambda partition: not partition.startswith(written))
        poster: Any = self.clients
        queue = _Queue(self._enqueue)
        jobs: Any = queue
        self._log = Log(self.client, "log", 86_400)
        self._deliverer = Deliverer(
            SubscriberReader(service, "subscriptions", "connections"),
            HoldReader(service, "subscriptions"),
            ReplayHandover(service, "subscriptions", queue, 1),
            poster,
            self.settings.max_message_bytes,
            self.settings.chains,
        )
        api: Any = self
        self._replays = ReplayJobs(
            self.settings,
            LogReader(self.client, "log"),
            Holds(self.client, "subscriptions"),
            self.stores.subscriptions,
            poster,
            jobs,
            lambda: api,
            CountingMetrics(),
            self._logger,
        )

    def _enqueue(self, job: Job) -> None:
        super()._enqueue(job)
        self.scheduler.spawn(f"{type(job).__name__} {len(self.jobs)}", self.work(job))

    def close(self, connection_id: str) -> None:
        """Close a connection (chaincast/aws/management_api.py)."""
        self.closed.add(connection_id)

    def append(self, batch: Batch) -> None:
        """Append a batch to the event log, as one step."""
        writes = [self._log.put_request(part) for part in encode_parts(batch)]
        update: UpdateTypeDef = {
            "TableName": "state",
            "Key": checkpoint_key(batch.source),
            "UpdateExpression": "SET seq = :s",
            "ExpressionAttributeValues": {":s": {"N": str(batch.seq)}},
        }
        self.client.transact_write_items(TransactItems=[{"Update": update}, *writes])

    def publish(self, *batches: Batch) -> Callable[[], None]:
        """Return an actor: appends batches, each of which fan-out delivers before the next."""

        def publish() -> None:
            for batch in batches:
                self.append(batch)
                self.fan_out(batch)()

        return publish

    def fan_out(self, batch: Batch) -> Callable[[], None]:
        """Return an actor: fan-out with a batch."""

        def deliver() -> None:
            progress = DeliveryProgress()
            for _ in range(_RECEIVES):
                report = run(self.scheduler, self._deliverer.deliver([batch], WORKER, progress, FOREVER))
                if report.delivered_up_to is None:
                    return
                progress = progress.after(report.delivered_up_to, (batch.seq, batch.part))
            raise AssertionError(f"the batch is not delivered after {_RECEIVES} tries: {report.error}")

        return deliver

    def work(self, job: Job) -> Callable[[], None]:
        """Return an actor: the lifecycle function with a job."""

        def work() -> None:
            if isinstance(job, Replay):
                run(self.scheduler, self._replays.run(job, FOREVER))
            elif isinstance(job, RemoveHold):
                run(self.scheduler, self._replays.remove_hold(job))

        return work

    def seen(self, connection_id: str = "c1") -> list[str]:
        """Return the ids of the events that a connection has received, in the order of their first arrival."""
        messages = self.clients.received.get(connection_id, [])
        return [*dict.fromkeys(event["id"] for message in messages for event in message.get("events", ()))]
