"""Latency at sizes beyond this machine: a discrete-event simulation of the path from a block to its last client.

`--compare` first validates the model at small sizes: the steps are measured on the local stack with one number of
clients, and the simulation's results for other numbers are compared with measurements. Then (or alone) the same model
runs with the times of AWS's services instead of the emulator's, for 10,000, 100,000 and a million connections.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import simpy

from benchmarks.report import finish, parser, percentile, show

Process: TypeAlias = Generator[simpy.Event, Any, None]

TOGETHER = 10
"""Batches that fan-out takes at once when it is behind (infra/fanout.py)."""

SAMPLES = 50
"""Clients of a batch and shard whose latency is recorded, evenly from the first to the last."""

PAGE = 5000
"""Subscriptions that one Query reads, which is about a megabyte."""


@dataclass(frozen=True, slots=True)
class Step:
    """The time of a step: the median (ms), and the 99th percentile as a multiple of the median."""

    median: float
    tail: float = 1.0

    def draw(self, dice: random.Random) -> float:
        sigma = math.log(max(self.tail, 1.0)) / 2.326  # the 99th percentile of a normal distribution
        return self.median * math.exp(dice.gauss(0, sigma))


@dataclass(frozen=True, slots=True)
class World:
    """The times of all steps.

    `posts_per_second`: of one shard. `quota`: API calls per second of the account and region.
    """

    before: Step
    """From the block until its batch is in the queue."""
    queue: Step
    """From the queue until a function runs."""
    query: Step
    """The first page of subscribers. Each further page takes `page` ms more."""
    page: float
    plan: Step
    posts_per_second: float
    post: Step
    """One post, from request to response."""
    quota: float = math.inf


@dataclass(frozen=True, slots=True)
class Load:
    """A load. `reached`: connections that receive something from a block; `blocks`: per second."""

    reached: int
    blocks: float
    shards: int = 1
    seconds: float = 60.0


SIZES = (10_000, 100_000, 1_000_000)
"""Numbers of connections of the forecast."""

AWS = World(
    # Times of AWS's services within a region, as commonly reported. The other times are measured with the benchmarks.
    before=Step(45, 3),  # header and logs 15, History 8, the transaction 15, the queue 7
    queue=Step(25, 4),
    query=Step(6, 4),
    page=12.0,
    plan=Step(1.5, 2),
    posts_per_second=30_600.0,  # benchmarks.fanout, over TLS on one core
    post=Step(12, 5),
    quota=10_000.0,  # API Gateway's throttle of an account and region, until AWS raises it
)


class Simulation:
    """A run. All shards share the account's quota."""

    def __init__(self, world: World, load: Load, seed: int) -> None:
        self.latencies: list[float] = []
        self.merged = 0
        self._world = world
        self._load = load
        self._dice = random.Random(seed)
        self._env = simpy.Environment()
        self._queues = [simpy.Store(self._env) for _ in range(load.shards)]
        self._free_at = 0.0

    def run(self) -> Simulation:
        self._env.process(self._chain())
        for queue in self._queues:
            self._env.process(self._worker(queue))
        self._env.run(until=self._load.seconds * 1000 * 1.5)
        return self

    def _chain(self) -> Process:
        while self._env.now < self._load.seconds * 1000:
            born = self._env.now
            self._env.process(self._write(born))
            yield self._env.timeout(1000 / self._load.blocks)

    def _write(self, born: float) -> Process:
        yield self._env.timeout(self._world.before.draw(self._dice))
        for queue in self._queues:
            yield queue.put(born)

    def _worker(self, queue: simpy.Store) -> Process:
        world, dice, env = self._world, self._dice, self._env
        reached = max(round(self._load.reached / self._load.shards), 1)
        while True:
            births: list[float] = [(yield queue.get())]
            yield env.timeout(world.queue.draw(dice))
            while queue.items and len(births) < TOGETHER:
                births.append((yield queue.get()))
            self.merged += len(births) - 1
            # The next page is read during the posts of the page before, so that only the first page delays.
            yield env.timeout(world.query.draw(dice) + world.plan.draw(dice))
            took = max(reached / world.posts_per_second * 1000, (reached / PAGE - 1) * world.page)
            began = env.now
            yield env.timeout(max(took, self._take(reached) - began))
            for place in range(SAMPLES):
                at = began + (env.now - began) * (place + 1) / SAMPLES + world.post.draw(dice)
                self.latencies += [at - born for born in births]
            yield env.timeout(world.post.draw(dice))

    def _take(self, posts: int) -> float:
        """Return the time at which the quota allows this number of posts."""
        if math.isinf(self._world.quota):
            return self._env.now
        self._free_at = max(self._free_at, self._env.now) + posts / self._world.quota * 1000
        return self._free_at


def quantiles(world: World, load: Load, seed: int = 1) -> tuple[float, float]:
    """Return the median and the 99th percentile of a run (ms)."""
    found = Simulation(world, load, seed).run().latencies
    return percentile(found, 0.5), percentile(found, 0.99)


def measured(clients: int, blocks: int) -> dict[str, Any]:
    """Return the figures of `benchmarks.latency` on the local stack with a number of clients."""
    command = [sys.executable, "-m", "benchmarks.latency", "--clients", str(clients), "--blocks", str(blocks), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def calibrated(figures: dict[str, Any], clients: int) -> World:
    """Return the local stack's times, from the steps of one measurement."""
    p50, p99 = figures["steps_p50_ms"], figures["steps_p99_ms"]

    def step(*names: str) -> Step:
        median = sum(max(p50[name], 0.0) for name in names)
        return Step(median, sum(max(p99[name], 0.0) for name in names) / median if median else 1.0)

    return World(
        before=step("head", "fetch", "decode", "history", "log", "send"),
        queue=step("queue"),
        query=step("query"),
        page=0.0,
        plan=step("plan"),
        posts_per_second=clients / p50["post"] * 1000,
        post=Step(max(p50["last"], 0.5), max(p99["last"], 0.5) / max(p50["last"], 0.5)),
    )


def compare(first: int, others: tuple[int, ...], blocks: int) -> list[dict[str, float]]:
    """Return measured and simulated latencies, with the calibrated number of clients and with others."""
    figures = {clients: measured(clients, blocks) for clients in (first, *others)}
    world, rows = calibrated(figures[first], first), []
    for clients, found in figures.items():
        p50, p99 = quantiles(world, Load(clients, blocks=0.5, seconds=400))
        rows.append(
            {
                "clients": clients,
                "p50": found["p50_ms"],
                "p99": found["p99_ms"],
                "simulated_p50": p50,
                "simulated_p99": p99,
            }
        )
    return rows


def forecast(sizes: Sequence[int] = SIZES) -> list[dict[str, Any]]:
    """Return the forecast: a block every two seconds that brings something for a fifth of all connections."""
    rows = []
    for connections in sizes:
        reached, blocks = connections // 5, 0.5
        needed = reached * blocks
        for quota, shards in ((AWS.quota, 1), (max(AWS.quota, needed * 4), 1), (max(AWS.quota, needed * 4), 8)):
            p50, p99 = quantiles(replace(AWS, quota=quota), Load(reached, blocks, shards))
            rows.append(
                {"connections": connections, "posts": needed, "quota": quota, "shards": shards, "p50": p50, "p99": p99}
            )
    return rows


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--compare", action="store_true", help="measure the local stack first (some minutes)")
    options.add_argument("--blocks", type=int, default=60, help="blocks of each measurement")
    arguments = options.parse_args()
    figures: dict[str, object] = {}
    if arguments.compare:
        rows = compare(50, (10, 25, 100, 200), arguments.blocks)
        figures["compared"] = rows
        names = ("p50", "simulated_p50", "p99", "simulated_p99")
        table = [[f"{row['clients']:.0f}", *(f"{row[name]:.0f}" for name in names)] for row in rows]
        show(
            "the local stack, calibrated with 50 clients (ms)",
            ["clients", "p50", "simulated", "p99", "simulated"],
            table,
        )
    found = forecast(SIZES[:1] if arguments.quick else SIZES)
    figures["forecast"] = found
    cells = [
        [
            f"{r['connections']:,}",
            f"{r['posts']:,.0f}",
            f"{r['quota']:,.0f}",
            str(r["shards"]),
            f"{r['p50']:,.0f}",
            f"{r['p99']:,.0f}",
        ]
        for r in found
    ]
    columns = ["connections", "posts/s", "quota/s", "shards", "p50 ms", "p99 ms"]
    show("on AWS: a block every 2 s, of which a fifth get something", columns, cells)
    finish(arguments, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
