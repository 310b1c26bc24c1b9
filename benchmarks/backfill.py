"""Backfill: events per second from a local JSON-RPC server, and where the CPU time goes.

The node and AWS (whose fake accepts everything immediately) run in another process. The listener decodes every log and
writes every event to History with BatchWriteItem. It uses one core.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

from benchmarks.chain import around
from benchmarks.listening import Profile, following, make, prepare, rss_mb, until_done
from benchmarks.quota import cpu_quota
from benchmarks.report import finish, parser, show

LOGS = 50
FINALITY = 64


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=100_000)
    options.add_argument("--cpu", type=float, metavar="SHARE", help="share of a core for the listener (default: all)")
    arguments = options.parse_args()
    events = 2_500 if arguments.quick else arguments.events
    blocks = events // LOGS + FINALITY
    with TemporaryDirectory() as folder, around(Path(folder), blocks, LOGS) as there:
        prepare(there.aws)
        with cpu_quota(arguments.cpu):
            figures = asyncio.run(_measure(there.http, blocks - FINALITY))
        profile = Profile()
        with (
            profile.running()
        ):  # measured in a run of its own, because the measurement costs as much as the measured code
            asyncio.run(_measure(there.http, blocks - FINALITY))
    rows = [
        ["events/s", f"{figures['events_per_s']:,.0f}"],
        ["CPU µs an event", f"{figures['cpu_us']:.1f}"],
        ["seconds", f"{figures['seconds']:.1f}"],
        ["RSS MB", f"{figures['rss_mb']:.0f}"],
    ]
    show(f"backfill of {events:,} logs over HTTP", ["", ""], rows)
    show("where its CPU time goes", ["", "share"], [[part, f"{share:.0%}"] for part, share in profile.shares()])
    finish(arguments, {**figures, "cpu": dict(profile.shares())})
    return 0


async def _measure(url: str, last: int) -> dict[str, float]:
    follower = make(url, 1, finality_depth=FINALITY, block_ms=1000)
    started, computed = perf_counter(), process_time()
    async with following(follower):
        await until_done(follower, last, 300)
        seconds, cpu = perf_counter() - started, process_time() - computed
    events = (last - 1) * LOGS
    return {
        "events_per_s": events / seconds,
        "cpu_us": cpu / events * 1e6,
        "seconds": seconds,
        "rss_mb": rss_mb(),
    }


if __name__ == "__main__":
    sys.exit(main())
