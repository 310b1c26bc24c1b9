"""Resident memory of the listener over 50,000 live blocks, every few thousand blocks.

The blocks exist from the start and are read as blocks near the head are: whole, linked, and written one by one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.chain import around
from benchmarks.listening import following, make, prepare, rss_mb, until_done
from benchmarks.report import finish, parser, show

LOGS = 1
POINTS = 10


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--blocks", type=int, default=50_000)
    arguments = options.parse_args()
    blocks = 200 if arguments.quick else arguments.blocks
    with TemporaryDirectory() as folder, around(Path(folder), blocks + 1, LOGS) as there:
        prepare(there.aws)
        held = asyncio.run(_follow(there.http, blocks))
    show("the listener's memory", ["blocks", "RSS MB"], [[f"{n:,}", f"{mb:.1f}"] for n, mb in held.items()])
    finish(arguments, {"rss_mb": held})
    return 0


async def _follow(url: str, blocks: int) -> dict[int, float]:
    # Delivered, so that every block goes through the event log and the queue as live blocks do.
    follower = make(url, 1, block_ms=1000, finality_depth=1000, backfill="{ deliver = true }")
    held: dict[int, float] = {}
    async with following(follower):
        for point in range(1, POINTS + 1):
            number = blocks * point // POINTS
            await until_done(follower, number, 1200)
            held[number] = rss_mb()
    return held


if __name__ == "__main__":
    sys.exit(main())
