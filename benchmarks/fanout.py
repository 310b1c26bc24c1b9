"""The whole `fanout` handler: deliveries per second on one core, their growth with subscribers, and requests to AWS.

The input is an SQS event with a batch of 20 events. A fake with prepared pages answers Query (without TLS), and posts
go to nginx over TLS, as they would to API Gateway. The function runs in a process of its own on one core; the fake and
nginx have the other core. Each figure is the median of several batches.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import TYPE_CHECKING
from unittest.mock import patch

from benchmarks.imports import environment
from benchmarks.posting import CREDENTIALS
from benchmarks.report import finish, parser, show
from benchmarks.responder import responder
from benchmarks.sink import Sink, running
from benchmarks.subscribers import NETWORK, batch_of
from local.stack.checkout import ROOT
from tests.lambda_functions import Context

if TYPE_CHECKING:
    from chaincast.sessions.cleanup import RemovedConnections

EVENTS = 20
HEADLINE = 10_000
GROWTH = (1_000, 3_000, 10_000, 30_000, 100_000)
BYSTANDERS = 1_000_000
"""Connections that subscribe only to topics without events."""


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--batches", type=int, default=7)
    options.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.worker:
        print(json.dumps(_work(arguments.batches)))
        return 0
    growth, headline, bystanders = ((200, 500), 500, 1_000) if arguments.quick else (GROWTH, HEADLINE, BYSTANDERS)
    batches = 2 if arguments.quick else arguments.batches
    with running(quick=arguments.quick) as sink:
        measured = {(n, 0): _measure(sink, n, 0, batches) for n in growth}
        measured[headline, bystanders] = _measure(sink, headline, bystanders, batches)
        refused = _measure(sink, headline, 0, batches, refuses_counts=True)
    shown = {
        f"{n:,} subscribers" + (f", {others:,} others" if others else ""): f for (n, others), f in measured.items()
    }
    shown[f"{headline:,} subscribers, counts refused"] = refused
    rows = [
        [
            name,
            f"{f['per_s']:,.0f}",
            f"{f['cpu_us']:.1f}",
            f"{f['ms']:.1f}",
            f"{f['queries']:.0f}",
            f"{f['posts']:,.0f}",
            f"{f['deletes']:.0f}",
        ]
        for name, f in shown.items()
    ]
    columns = ["one batch of 20 events", "deliveries/s", "CPU µs each", "ms", "Query", "Post", "Delete"]
    show("the fan-out function, over TLS, on one core", columns, rows)
    alone, crowded = measured[headline, 0], measured[headline, bystanders]
    finish(
        arguments,
        {
            "deliveries_per_s": alone["per_s"],
            "growth": {n: measured[n, 0]["per_s"] for n in growth},
            "with_bystanders": crowded["per_s"],
            "counts_refused": refused["per_s"],
            "requests_per_batch": {name: alone[name] for name in ("queries", "posts", "deletes")},
        },
    )
    return 0


def _label(subscribers: int, others: int) -> str:
    return f"{subscribers:,} subscribers" + (f", {others:,} others" if others else "")


def _measure(
    sink: Sink, subscribers: int, others: int, batches: int, *, refuses_counts: bool = False
) -> Mapping[str, float]:
    with (
        TemporaryDirectory() as name,
        responder(subscribers, others, Path(name), refuses_counts=refuses_counts) as tables,
    ):
        child_environment = {
            **environment(),
            **CREDENTIALS,
            "AWS_CA_BUNDLE": str(sink.authority),
            "CHAINCAST_MANAGEMENT_ENDPOINT": sink.tls,
            "AWS_ENDPOINT_URL_DYNAMODB": tables,
            "AWS_LAMBDA_FUNCTION_NAME": "fanout",
            "POWERTOOLS_LOG_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "benchmarks.fanout", "--worker", "--batches", str(batches)]
        done = subprocess.run(command, cwd=ROOT, env=child_environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"the function failed:\n{done.stderr}")
        figures: Mapping[str, float] = json.loads(done.stdout.splitlines()[-1])
        assert figures["posts"] == subscribers
        return figures


def _work(batches: int) -> Mapping[str, float]:
    """Measure in a process with a function's environment.

    Return medians over the batches without the first one, which is a cold start.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[-1]})
    from chaincast.fanout.messages import DeliverBatch, encode_message
    from chaincast.model.sharding import ShardAssignment
    from chaincast.sessions.cleanup import ConnectionCleanup
    from functions import fanout

    requests = _Counter(fanout.database.post)
    vars(fanout.database)["post"] = requests
    seconds, cpu, posts, queries, deletes = [], [], [], [], []
    for seq in range(batches + 1):
        body = encode_message(DeliverBatch(ShardAssignment(1, 0, (1,)), batch_of(EVENTS, seq + 1)))
        event = {"Records": [_record(body, seq)]}
        before = fanout.poster.pace.posts, requests.count
        deleted: list[int] = []
        began, computed = perf_counter(), process_time()
        with patch.object(ConnectionCleanup, "remove", _counting(ConnectionCleanup.remove, deleted)):
            answer = fanout.handler(event, Context())
        seconds.append(perf_counter() - began)
        cpu.append(process_time() - computed)
        assert answer == {"batchItemFailures": []}
        posts.append(fanout.poster.pace.posts - before[0])
        queries.append(requests.count - before[1])
        deletes.append(sum(deleted))
    time = median(seconds[1:])
    return {
        "per_s": median(p / s for p, s in zip(posts[1:], seconds[1:], strict=True)),
        "cpu_us": median(c / p for p, c in zip(posts[1:], cpu[1:], strict=True)) * 1e6,
        "ms": time * 1000,
        "queries": median(queries[1:]),
        "posts": median(posts[1:]),
        "deletes": median(deletes[1:]),
    }


def _counting(forget: Callable[..., RemovedConnections], deleted: list[int]) -> Callable[..., RemovedConnections]:
    """Reset the counts. Return the number of writes before."""

    def counted(*arguments: object) -> RemovedConnections:
        forgotten = forget(*arguments)
        deleted.append(forgotten.writes)
        return forgotten

    return counted


class _Counter:
    """Counts the calls of an asynchronous function."""

    def __init__(self, function: object) -> None:
        self._function = function
        self.count = 0

    def __call__(self, *arguments: object) -> object:
        self.count += 1
        return self._function(*arguments)  # type: ignore[operator]  # what it was made with


def _record(body: str, seq: int) -> dict[str, object]:
    return {
        "messageId": str(seq),
        "receiptHandle": "",
        "body": body,
        "attributes": {
            "MessageGroupId": f"{NETWORK}#0",
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1700000000000",
        },
    }


if __name__ == "__main__":
    sys.exit(main())
