"""A fake DynamoDB for the fan-out function: Query on the Subscriptions table from prepared pages.

It is a process of its own (`python -m benchmarks.responder PORT SUBSCRIBERS OTHERS [refuse]`), so that the measured
process has only the work that it has in Lambda. `OTHERS` connections have rows under topics without events; with
`refuse` all counts are refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from benchmarks.dynamodb import AcceptingTables
from benchmarks.http_server import listen
from benchmarks.posting import connection_id
from benchmarks.subscribers import prepared, topics_of
from chaincast.model.sharding import partition
from local.stack.checkout import PYTHON, ROOT, free_port, port_taken
from local.stack.processes import spawn, wait_until_up


@contextmanager
def responder(subscribers: int, others: int, folder: Path, *, refuses_counts: bool = False) -> Iterator[str]:
    """Run a responder and yield its URL."""
    port = free_port()
    command = [PYTHON, "-m", "benchmarks.responder", str(port), str(subscribers), str(others)]
    command += ["refuse"] if refuses_counts else []
    child = spawn("responder", command, {"PYTHONPATH": str(ROOT)}, folder / "responder.log", ROOT)

    def answers() -> None:
        if not port_taken(port):
            raise ConnectionError

    wait_until_up(child, answers, 120, "look at what it says")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop()


async def _serve(port: int, subscribers: int, others: int, *, refuses_counts: bool) -> None:
    by_topic: dict[str, list[str]] = {}
    for number in range(subscribers):
        by_topic.setdefault(topics_of(number), []).append(connection_id(number))
    for number in range(others):
        by_topic.setdefault(f"price:SYMBOL{number % 1000}", []).append(connection_id(5_000_000 + number))
    pages = {
        (partition(topic, 1, 0), after): body
        for topic, ids in by_topic.items()
        for after, body in prepared(sorted(ids))
    }
    server = await listen(port, AcceptingTables(pages, refuses_counts=refuses_counts).respond)
    await server.serve_forever()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:4]]
    uvloop.run(_serve(*numbers, refuses_counts=sys.argv[4:] == ["refuse"]))
