"""Live lag: the time from mining a block of 2,000 events until it is written and queued, with one block per second.

The node pushes heads over WebSocket. Node and AWS (whose fake accepts everything immediately) run in another process.
`benchmarks.latency` measures the time that AWS takes.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.chain import around
from benchmarks.listening import following, make, prepare, until_done
from benchmarks.quota import cpu_quota
from benchmarks.report import finish, parser, percentile, show

PAST = 3


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--blocks", type=int, default=60)
    options.add_argument("--events", type=int, default=2000)
    options.add_argument("--cpu", type=float, metavar="SHARE", help="share of a core for the listener (default: all)")
    arguments = options.parse_args()
    blocks, events = (5, 100) if arguments.quick else (arguments.blocks, arguments.events)
    with TemporaryDirectory() as folder, around(Path(folder), PAST, events, 1.0) as there:
        prepare(there.aws)
        with cpu_quota(arguments.cpu):
            written = asyncio.run(_follow(there.ws, blocks))
        mined = _mined(there.log)
    lags = [written[number] - mined[number] for number in written if number in mined][2:]
    figures = {"p50_s": median(lags), "p99_s": percentile(lags, 0.99), "worst_s": max(lags), "blocks": len(lags)}
    rows = [[name, f"{value:.3f}" if name != "blocks" else str(value)] for name, value in figures.items()]
    show(f"{events:,} events a block, a block a second", ["from mined to queued", ""], rows)
    finish(arguments, figures)
    return 0


async def _follow(url: str, blocks: int) -> dict[int, float]:
    """Return the times at which each block was written and queued."""
    follower = make(url, 1, block_ms=1000)
    written: dict[int, float] = {}
    async with following(follower):
        await until_done(follower, PAST - 1, 60)
        last = follower.done or 0
        while len(written) < blocks:
            await until_done(follower, last + 1, 30)
            now, done = time.time(), follower.done or 0
            written |= dict.fromkeys(range(last + 1, done + 1), now)
            last = done
    return written


def _mined(log: Path) -> dict[int, float]:
    """Return the time at which each block was mined, from the output of the node's process."""
    pairs = (line.split() for line in log.read_text().splitlines())
    return {int(number): float(at) for number, at in pairs}


if __name__ == "__main__":
    sys.exit(main())
