"""Posts per second: Chaincast, boto3 with 16 threads, and wrk (C), with the same nginx, with and without TLS.

Each client runs in a process of its own. The three take turns for several rounds, and figures are medians over the
rounds. CPU is the client's only. A post has 400 bytes, goes to a connection of its own and is signed with a session
token, as in Lambda. wrk sends the same bytes each time without a signature.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.report import finish, parser, show
from benchmarks.sink import Sink, needed, running
from local.stack.checkout import ROOT

BODY = b"x" * 400
THREADS = 16
WARM_UP = 0.5

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2Vj" + "EXAMPLETOKEN" * 56,
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_WRK = """
wrk.method = "POST"
wrk.body = string.rep("x", 400)
wrk.headers["X-Amz-Date"] = "20260101T000000Z"
wrk.headers["X-Amz-Security-Token"] = "{token}"
wrk.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=ASIAIOSFODNN7EXAMPLE/20260101/us-east-1/execute-api/" ..
  "aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=" .. string.rep("0", 64)
"""


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--seconds", type=float, default=4.0, help="seconds of each measurement")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--client", choices=sorted(CLIENTS), help=argparse.SUPPRESS)
    options.add_argument("--url", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.client:
        print(json.dumps(CLIENTS[arguments.client](arguments.url, arguments.seconds)))
        return 0
    clients = ("ours", "boto3") if arguments.quick else tuple(CLIENTS)
    if not arguments.quick:
        needed("nginx", "wrk")
    seconds, rounds = (0.2, 1) if arguments.quick else (arguments.seconds, arguments.rounds)
    with running(quick=arguments.quick) as sink:
        figures = {
            "tls": _compare(sink, sink.tls, clients, seconds, rounds),
            "clear": _compare(sink, sink.clear, clients, seconds, rounds),
        }
    for name, of in figures.items():
        rows = [
            [who, f"{f['per_s']:,.0f}", f"{f['cpu_us']:.1f}", f"{f['per_s'] / of['boto3']['per_s']:.1f}"]
            for who, f in of.items()
        ]
        show(f"posts, {'over TLS' if name == 'tls' else 'in clear'}", ["client", "a second", "CPU µs", "× boto3"], rows)
    finish(arguments, {name: {who: f["per_s"] for who, f in of.items()} for name, of in figures.items()})
    return 0


def _compare(sink: Sink, url: str, clients: Sequence[str], seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """Measure each client. Return posts per second and CPU microseconds per post, medians over the rounds."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
    environment = {**os.environ, **CREDENTIALS, "AWS_CA_BUNDLE": str(sink.authority)}
    for _ in range(rounds):
        for name, results in found.items():
            command = [sys.executable, "-m", "benchmarks.posting", "--client", name, "--url", url]
            command += ["--seconds", str(seconds)]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{name} failed:\n{done.stderr}")
            results.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        name: {figure: median(r[figure] for r in results) for figure in ("per_s", "cpu_us")}
        for name, results in found.items()
    }


def connection_id(number: int) -> str:
    """Return a connection id in the form of API Gateway's."""
    return f"L0SM{number:07d}cHcCIhw="


def _ours(url: str, seconds: float) -> Mapping[str, float]:
    import uvloop

    from chaincast.aws.fast.pool import Pool
    from chaincast.aws.fast.poster import MAX_SOCKETS, ConnectionPoster
    from chaincast.aws.fast.service_client import Payload, ServiceClient

    async def run() -> Mapping[str, float]:
        gateway = ConnectionPoster(ServiceClient(Pool(url, MAX_SOCKETS), "us-east-1", "execute-api"))
        payload = [Payload(BODY)]

        async def post_for(duration: float) -> Mapping[str, float]:
            meter = Meter()
            posting = gateway.begin()
            for number in count():
                posting.submit(connection_id(number % 10_000_000), payload)
                if posting.full:
                    await posting.wait_for_capacity()
                    if meter.seconds() > duration:
                        break
            outcomes = await posting.drain()
            assert outcomes.posted == number + 1
            return meter.figures(outcomes.posted)

        await post_for(WARM_UP)
        figures = await post_for(seconds)
        await gateway.client.close()
        return figures

    return uvloop.run(run())


def _boto3(url: str, seconds: float) -> Mapping[str, float]:
    import boto3
    from botocore.config import Config

    client = boto3.client("apigatewaymanagementapi", endpoint_url=url, config=Config(max_pool_connections=THREADS))

    def post_for(duration: float) -> Mapping[str, float]:
        meter = Meter()

        def post(thread: int) -> int:
            for number in count():
                client.post_to_connection(ConnectionId=connection_id(thread * 1_000_000 + number), Data=BODY)
                if meter.seconds() > duration:
                    return number + 1
            raise AssertionError

        with ThreadPoolExecutor(THREADS) as pool:
            return meter.figures(sum(pool.map(post, range(THREADS))))

    post_for(WARM_UP)
    return post_for(seconds)


def _wrk(url: str, seconds: float) -> Mapping[str, float]:
    with TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        script.write_text(_WRK.format(token=CREDENTIALS["AWS_SESSION_TOKEN"]))
        command = ["wrk", "-t1", "-c64", f"-d{max(1, round(seconds))}s", "-s", str(script)]
        meter = Meter(resource.RUSAGE_CHILDREN)
        done = subprocess.run([*command, f"{url}/@connections/L0SM"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+) requests in ([\d.]+)s", done.stdout)
    assert found is not None
    assert "Non-2xx" not in done.stdout
    posts = int(found[1])
    return {**meter.figures(posts), "per_s": posts / float(found[2])}


class Meter:
    """Wall and CPU time since the object was made."""

    def __init__(self, who: int = resource.RUSAGE_SELF) -> None:
        self._who = who
        self._started = time.perf_counter()
        self._cpu = self._cpu_seconds()

    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def cpu_seconds(self) -> float:
        return self._cpu_seconds() - self._cpu

    def figures(self, posts: int) -> Mapping[str, float]:
        """Return posts per second and CPU microseconds per post."""
        return {"per_s": posts / self.seconds(), "cpu_us": self.cpu_seconds() / posts * 1e6}

    def _cpu_seconds(self) -> float:
        usage = resource.getrusage(self._who)
        return usage.ru_utime + usage.ru_stime


CLIENTS: Mapping[str, Callable[[str, float], Mapping[str, float]]] = {"ours": _ours, "boto3": _boto3, "wrk": _wrk}


if __name__ == "__main__":
    sys.exit(main())
