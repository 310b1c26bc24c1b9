"""An event loop and a client for actors whose code is asynchronous."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from chaincast.aws.fast.post_outcomes import Outcomes
from chaincast.aws.fast.service_client import Payload, Response
from tests.aws_model.tables import Tables
from tests.interleavings.client import described
from tests.interleavings.scheduler import Scheduler

Result = TypeVar("Result")


class SteppingLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own, which sleeps as an actor and runs other threads' work in its own thread."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._now = 0.0
        super().__init__(_Selector(self, scheduler))

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # ends before it returns
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def advance(self, seconds: float) -> None:
        """Advance the clock."""
        self._now += seconds


class _Selector(selectors.DefaultSelector):
    """Waits by sleeping as an actor. Nothing else happens in another thread."""

    def __init__(self, loop: SteppingLoop, scheduler: Scheduler) -> None:
        super().__init__()
        self._loop = loop
        self._scheduler = scheduler

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("the actor waits for something that no one does")
        if timeout > 0:
            self._scheduler.sleep(f"{timeout:g} s")
            self._loop.advance(timeout)
        return super().select(0)


def run(scheduler: Scheduler, coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a loop of its own."""
    loop = SteppingLoop(scheduler)
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


class SteppingService:
    """The asynchronous client of DynamoDB (chaincast/aws/fast/service_client.py).

    Fan-out reads a partition for each of a batch's two dozen topics and wildcards, most of which are empty. A read of a
    partition that no actor of the scenario writes (`is_idle`) is no step, because its order makes no difference.
    """

    def __init__(self, tables: Tables, scheduler: Scheduler, is_idle: Callable[[str], bool]) -> None:
        self._tables = tables
        self._scheduler = scheduler
        self._is_idle = is_idle

    async def post(self, path: str, body: bytes, headers: Sequence[tuple[str, str]]) -> Response:
        """Make a call."""
        operation = dict(headers)["x-amz-target"].rpartition(".")[2]
        request: dict[str, Any] = orjson.loads(body)
        answer: Any
        if operation == "Query" and self._is_idle(request["ExpressionAttributeValues"][":k"]["S"]):
            answer = self._tables.respond(operation, request)
        else:
            what = described(operation, request)
            answer = self._scheduler.call(what, lambda: self._tables.respond(operation, request))
        return Response(answer[0], orjson.dumps(answer[1]))


class Clients:
    """The messages that connections have received, and a poster that delivers them one by one."""

    def __init__(self, scheduler: Scheduler, closed: set[str]) -> None:
        self.received: dict[str, list[Mapping[str, Any]]] = {}
        self.refusals: dict[str, int] = {}
        """Connections whose clients do not read now, and how many posts will be refused."""
        self._scheduler = scheduler
        self._closed = closed

    def post(self, connection_id: str, body: bytes) -> int:
        """Post a message. Return the status: 200, 410 if the connection is closed, 429 if its client does not read."""
        message: Mapping[str, Any] = orjson.loads(body)

        def effect() -> int:
            if connection_id in self._closed:
                return 410
            if left := self.refusals.get(connection_id, 0):
                self.refusals[connection_id] = left - 1
                return 429
            self.received.setdefault(connection_id, []).append(message)
            return 200

        status: Any = self._scheduler.call(f"post {connection_id} {message.get('cursor', message['type'])}", effect)
        return int(status)

    async def deliver(self, messages: Sequence[bytes], connection_ids: Sequence[str]) -> Outcomes:
        """Post messages to each connection."""
        posting = self.begin(None)
        for connection_id in connection_ids:
            posting.submit(connection_id, [Payload(body) for body in messages])
        return await posting.drain()

    def begin(self, seconds: float | None) -> Posting:
        """Begin a batch of posts."""
        return Posting(self)


class Posting:
    """A batch of posts (chaincast/aws/fast/poster.py)."""

    full = stopped = False

    def __init__(self, clients: Clients) -> None:
        self.outcomes = Outcomes()
        self._clients = clients

    def submit(self, connection_id: str, payloads: Sequence[Payload]) -> None:
        """Post messages to a connection."""
        for payload in payloads:
            status = self._clients.post(connection_id, payload.tail.partition(b"\r\n\r\n")[2])
            if status == 410:
                self.outcomes.gone.append(connection_id)
                return
            if status == 429:
                self.outcomes.stalled[connection_id] = payloads
                return
            self.outcomes.posted += 1

    async def drain(self) -> Outcomes:
        """Return the outcomes."""
        return self.outcomes
