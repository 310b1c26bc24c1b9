"""The model, the lifecycle function and fan-out, each in a process of its own, as on AWS; this process has fan-out."""

from __future__ import annotations

import base64
import http.client
import importlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType, SimpleNamespace
from typing import Any

import orjson

from chaincast.aws import environment
from chaincast.aws.lambda_events import SqsRecord
from chaincast.fanout.messages import DeliverBatch, encode_message
from chaincast.model.batches import Batch, encode_parts
from chaincast.model.sharding import ShardAssignment
from local.stack.checkout import PYTHON, ROOT, free_port, port_taken
from local.stack.processes import Child, spawn, wait_until_up
from tests.aws_model.server import TABLE_VARIABLES
from tests.lambda_functions import SETTINGS, RunningContext

CONCURRENCY = 100
"""Jobs at once of a process with the lifecycle function. In Lambda an environment has up to ten."""


class Deployment:
    """A model with its functions. Batches have consecutive numbers from 1."""

    def __init__(self, port: int, fanout: ModuleType, lifecycles: Sequence[Child]) -> None:
        self._port = port
        self._lifecycles = lifecycles
        self._fanout = fanout
        self._retry_seconds: dict[str, float] = {}
        fanout.worker._retries = lambda: SimpleNamespace(retry_soon=self._retry_soon)

    def control(self, call: str, **arguments: object) -> Any:
        """Call a command of `Setting` in the model's process."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        connection.request("POST", "/model", orjson.dumps({"call": call, **arguments}))
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return orjson.loads(body)

    def append(self, batch: Batch) -> None:
        """Append a batch to the event log."""
        items = [
            {
                "source": {"S": part.batch.source},
                "cursor": {"S": part.batch.sort_key},
                "batch": {"B": base64.b64encode(part.data).decode()},
            }
            for part in encode_parts(batch)
        ]
        self.control("append", source=batch.source, seq=batch.seq, items=items)

    def deliver(self, batches: Sequence[tuple[float, Batch]]) -> None:
        """Deliver batches as Lambda does, each when it is due (monotonic seconds): what is due together, together.

        Returns when all are delivered. A message that fails comes again after its retry delay.
        """
        waiting = [(due, batch, 1) for due, batch in batches]
        while waiting:
            time.sleep(max(0.0, waiting[0][0] - time.monotonic()))
            now = time.monotonic()
            taken = [entry for entry in waiting[:10] if entry[0] <= now]
            records = [_record(batch, receives) for _, batch, receives in taken]
            with self._alone():
                response = self._fanout.handler({"Records": records}, RunningContext())
            failed = {failure["itemIdentifier"] for failure in response["batchItemFailures"]}
            again = [
                (time.monotonic() + self._retry_seconds[str(batch.seq)], batch, receives + 1)
                for _, batch, receives in taken
                if str(batch.seq) in failed
            ]
            waiting = [*again, *waiting[len(taken) :]]
            if again:  # the group waits for its first message
                waiting = [(max(entry[0], again[0][0]), *entry[1:]) for entry in waiting]

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Pause the lifecycle function. On AWS it has machines of its own; here it would slow down fan-out."""
        for child in self._lifecycles:
            os.kill(child.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for child in self._lifecycles:
                os.kill(child.process.pid, signal.SIGCONT)

    def run(self, batches: Sequence[Batch], interval: float) -> list[float]:
        """Append batches and deliver them at intervals in seconds; 0: one after the other. Return their due times."""
        for batch in batches:
            self.append(batch)
        if interval:
            began = time.monotonic() + interval
            due = [began + number * interval for number in range(len(batches))]
            self.deliver([*zip(due, batches, strict=True)])
            return due
        due = []
        for batch in batches:
            due.append(time.monotonic())
            self.deliver([(due[-1], batch)])
        return due

    def wait_for_replays(self, seconds: float) -> None:
        """Wait until no connection is on hold."""
        ends = time.monotonic() + seconds
        while held := self.control("state")["holds"].get("held"):
            assert time.monotonic() < ends, f"{held} connections are on hold after {seconds} s"
            time.sleep(0.2)

    def _retry_soon(self, records: Sequence[SqsRecord]) -> None:
        from chaincast.fanout.groups import receive_count
        from chaincast.fanout.retries import retry_delay_seconds

        for record in records:
            self._retry_seconds[record["messageId"]] = retry_delay_seconds(receive_count(record))


def _record(batch: Batch, receives: int) -> SqsRecord:
    return {
        "messageId": str(batch.seq),
        "receiptHandle": "",
        "body": encode_message(DeliverBatch(ShardAssignment(1, 0, (1,)), batch)),
        "attributes": {
            "MessageGroupId": f"{batch.source}#0",
            "ApproximateReceiveCount": str(receives),
            "SentTimestamp": str(int(time.time() * 1000)),
        },
    }


def variables(port: int) -> Mapping[str, str]:
    """Return the environment of the functions."""
    url = f"http://127.0.0.1:{port}"
    return {
        "AWS_ACCESS_KEY_ID": "AKIDTEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
        "POWERTOOLS_METRICS_NAMESPACE": "Chaincast",
        "POWERTOOLS_METRICS_DISABLED": "true",
        "CHAINCAST_SETTINGS": SETTINGS.to_json(),
        environment.MANAGEMENT_ENDPOINT: f"{url}/prod",
        **{variable: name for name, variable in TABLE_VARIABLES.items()},
        environment.FANOUT_QUEUE: f"{url}/fanout",
        environment.LIFECYCLE_QUEUE: f"{url}/lifecycle",
    }


@contextmanager
def deployment(lifecycles: int = 1, concurrency: int = CONCURRENCY) -> Iterator[Deployment]:
    """Start the processes, with some of the lifecycle function. This one's environment is fan-out's until the end."""
    port, before = free_port(), dict(os.environ)
    with TemporaryDirectory() as name:
        folder = Path(name)
        children: list[Child] = []
        try:
            os.environ.update(variables(port))
            model = [PYTHON, "-m", "tests.aws_model.server", str(port)]
            with pin(last=False):  # which the child inherits
                children.append(spawn("model", model, {"PYTHONPATH": str(ROOT)}, folder / "model.log", ROOT))
            wait_until_up(children[0], lambda: _answers(port), 120, "look at what it says")
            lifecycle = [PYTHON, "-m", "tests.aws_model.lifecycle", str(concurrency)]
            child_variables = {**variables(port), "PYTHONPATH": str(ROOT)}
            for number in range(lifecycles):
                log = folder / f"lifecycle{number}.log"
                children.append(spawn("lifecycle", lifecycle, child_variables, log, ROOT))
            sys.modules.pop("functions.fanout", None)
            fanout = importlib.import_module("functions.fanout")
            with pin(last=True):
                yield Deployment(port, fanout, children[1:])
        finally:
            for child in children:
                child.stop()
            sys.modules.pop("functions.fanout", None)
            os.environ.clear()
            os.environ.update(before)


@contextmanager
def pin(*, last: bool) -> Iterator[None]:
    """Run on the last core, or on all others, until the end: fan-out has a core of its own, as in Lambda."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    *others, core = sorted(before)
    os.sched_setaffinity(0, {core} if last or not others else set(others))
    yield
    os.sched_setaffinity(0, before)


def _answers(port: int) -> None:
    if not port_taken(port):
        raise ConnectionError
