"""Latency from `POST /publish` to the client on the local stack, and completeness of a stream.

Latency: an event is sent when the one before has arrived. The time begins before the request is signed. Stream: one
publisher sends trades at a constant rate; a client that subscribes must receive every trade, in order.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.report import finish, parser, percentile, show
from chaincast.publish import Item, Publisher
from local.stack.checkout import REGION, free_port
from local.stack.local_stack import LocalStack, StackOptions

OPEN_SECONDS = 60
"""Limit of a connection's handshake, which waits for the cold starts of two functions."""

WARM = 5


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--events", type=int, default=100, help="events of the latency measurement")
    options.add_argument("--rate", type=int, default=1000, help="events per second of the stream")
    options.add_argument("--seconds", type=int, default=60, help="seconds of the stream")
    arguments = options.parse_args()
    if arguments.quick:
        arguments.events, arguments.rate, arguments.seconds = 5, 100, 2
    os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
    stack_options = StackOptions(port=free_port(), node_port=free_port(), block_time=None, seed=None)
    with LocalStack(stack_options) as stack, Publisher(stack.outputs.http_url, region=REGION) as publisher:
        figures = asyncio.run(_measure(stack.outputs.websocket_url, publisher, arguments))
    rows = [
        ["event published → client, p50", f"{figures['p50_ms']:.0f} ms"],
        ["event published → client, p99", f"{figures['p99_ms']:.0f} ms"],
        [f"stream of {arguments.rate:,}/s for {arguments.seconds} s: sent", f"{figures['sent']:,.0f}"],
        ["arrived, each once and in order", f"{figures['arrived']:,.0f}"],
        ["sent at", f"{figures['sent_per_second']:,.0f}/s"],
        ["the last arrived behind the last sent", f"{figures['behind_ms']:.0f} ms"],
        ["messages to the client", f"{figures['messages']:,.0f}"],
    ]
    show("publishing", ["what", "figure"], rows)
    finish(arguments, figures)
    return 0 if figures["arrived"] == figures["sent"] else 1


async def _measure(url: str, publisher: Publisher, arguments: object) -> dict[str, float]:
    events, rate, seconds = (int(getattr(arguments, name)) for name in ("events", "rate", "seconds"))
    async with connect(url, open_timeout=OPEN_SECONDS, max_queue=None) as socket:
        await socket.send(json.dumps({"type": "subscribe", "topics": ["trade:*"]}))
        while json.loads(await socket.recv())["type"] != "subscribed":
            pass
        latencies = await _latency(socket, publisher, events)
        return {
            "p50_ms": percentile(latencies, 0.5),
            "p99_ms": percentile(latencies, 0.99),
            **await _stream(socket, publisher, rate, seconds),
        }


async def _latency(socket: ClientConnection, publisher: Publisher, events: int) -> list[float]:
    found = []
    for number in range(events + WARM):
        began = time.time()
        await asyncio.to_thread(publisher.publish, _trade(number))
        while not _numbers(await asyncio.wait_for(socket.recv(), 30)):
            pass
        found.append((time.time() - began) * 1000)
    return found[WARM:]


async def _stream(socket: ClientConnection, publisher: Publisher, rate: int, seconds: int) -> dict[str, float]:
    total = rate * seconds
    arrived: list[int] = []
    messages = 0
    sending = asyncio.create_task(asyncio.to_thread(_send, publisher, rate, total))
    while len(arrived) < total:
        found = _numbers(await asyncio.wait_for(socket.recv(), 60))
        arrived += found
        messages += bool(found)
    last = time.time()
    began, ended = await sending
    whole = arrived == list(range(total))
    return {
        "sent": total,
        "arrived": len(arrived) if whole else len(set(arrived)) - 1,
        "sent_per_second": total / (ended - began),
        "behind_ms": (last - ended) * 1000,
        "messages": messages,
    }


def _send(publisher: Publisher, rate: int, total: int) -> tuple[float, float]:
    """Send at a constant rate. Return the times of the first and the last event."""
    began = time.time()
    for number in range(total):
        ahead = began + number / rate - time.time()
        if ahead > 0:
            time.sleep(ahead)
        publisher.send(_trade(number))
    ended = time.time()
    publisher.flush()
    return began, ended


def _trade(number: int) -> Item:
    data = {"price": 2500.0, "amount": 1.5, "side": "buy", "number": number}
    return {"kind": "trade", "symbol": "ETH-USDC", "data": data}


def _numbers(text: str | bytes) -> list[int]:
    return [event["data"]["number"] for event in json.loads(text).get("events", [])]


if __name__ == "__main__":
    sys.exit(main())
