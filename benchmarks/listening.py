"""A measured listener in this process: a follower of a simulated node, with a fake AWS that accepts everything."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from benchmarks.chain import FACTORY
from chaincast.aws import boto_clients, environment
from chaincast.config.load import parse
from listener.follow import Follower
from listener.wiring import make_follower

_SAMPLE = 0.002
_PARTS = (
    ("benchmarks/", ""),
    ("listener/adapters/", "decode"),
    ("chaincast/eventlog/history_store", "history items"),
    ("chaincast/model/batches", "batch encoding"),
    ("botocore/", "boto3 (and its HTTP)"),
    ("boto3/", "boto3 (and its HTTP)"),
    ("listener/sources/", "fetch: JSON-RPC, headers, raw logs"),
    ("aiohttp/", "fetch: JSON-RPC, headers, raw logs"),
    ("listener/indexer", "events"),
    ("listener/", "the listener's own loop"),
    ("asyncio/", "event loop"),
)


def prepare(aws: str) -> None:
    """Return the environment of a listener with the fake AWS."""
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws,
        "CHAINCAST_HEALTH_FOLDER": "/dev/shm",  # noqa: S108 - nothing is written
        **{name: name.lower() for name in (environment.LOG, environment.HISTORY, environment.STATE)},
        environment.FANOUT_QUEUE: f"{aws}/queue/fanout.fifo",
    }
    for cached in (boto_clients.dynamodb, boto_clients.sqs):
        cached.cache_clear()
    logging.disable(logging.INFO)


def make(url: str, start_block: int | str, **fields: object) -> Follower:
    """Return a follower of the simulated chain's launchpad."""
    start = f'"{start_block}"' if isinstance(start_block, str) else start_block
    keys = "\n".join(f"{name} = {value}" for name, value in fields.items())
    config = parse(f"""
[networks.bench]
chain_id = 1337
rpc_url = "{url}"
start_block = {start}
{keys}
[[networks.bench.contracts]]
adapter = "launchpad"
address = "{FACTORY}"
""")
    return make_follower(config, "bench", config.networks["bench"], lambda: None)


@asynccontextmanager
async def following(follower: Follower) -> AsyncIterator[None]:
    """Run the follower in the background."""
    task = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        follower.stop()
        await task


def rss_mb() -> float:
    """Return the resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 2**20


class Profile:
    """CPU time of each thread since the last measurement, by the innermost known part of the code."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def shares(self) -> list[tuple[str, float]]:
        """Return the parts with their share of the CPU time, the largest first."""
        total = sum(self.seconds.values()) or 1
        return sorted(((part, spent / total) for part, spent in self.seconds.items()), key=lambda p: -p[1])

    def _sample(self) -> None:
        mine = threading.get_ident()
        before: dict[int, float] = {}
        while not self._ended.wait(_SAMPLE):
            for ident, frame in sys._current_frames().items():
                try:
                    spent = time.clock_gettime(time.pthread_getcpuclockid(ident))
                except OSError:  # the thread has ended
                    continue
                if ident != mine and (part := _part(frame)):
                    self.seconds[part] += max(spent - before.get(ident, spent), 0.0)
                before[ident] = spent


def _part(frame: FrameType | None) -> str:
    while frame is not None:
        name = frame.f_code.co_filename
        for piece, part in _PARTS:
            if piece in name:
                return part
        frame = frame.f_back
    return "other"


async def until_done(follower: Follower, block: int, seconds: float) -> None:
    """Wait until a block is written."""
    deadline = time.monotonic() + seconds
    while (follower.done or 0) < block:
        if time.monotonic() > deadline:
            raise TimeoutError(f"block {block} was not reached in {seconds:g} s; the listener is at {follower.done}")
        await asyncio.sleep(0.005)
