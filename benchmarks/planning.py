"""Planning and encoding without a network: from a batch and its subscribers to the message for each.

Pages of subscriptions come as DynamoDB's JSON. The result is the body of each post. Half of the subscribers listen to
the whole network, the others to one of ten tokens, so that there are eleven different views.
"""

from __future__ import annotations

import sys
from time import perf_counter

import orjson

from benchmarks.report import finish, parser, show
from benchmarks.subscribers import EVENTS_OF, V1, batch_of, pages_of
from chaincast.aws.fast.dynamodb import Page
from chaincast.fanout.plan import Plan, View, merged

EVENTS = (1, 20, 200)
SUBSCRIBERS = (1_000, 10_000, 100_000)
MAX_BYTES = 32_768


def main() -> int:
    arguments = parser(__doc__).parse_args()
    rows, figures = [], {}
    for events in EVENTS:
        for subscribers in SUBSCRIBERS[:1] if arguments.quick else SUBSCRIBERS:
            milliseconds, bytes_out, messages = _measure(events, subscribers)
            microseconds = milliseconds * 1000 / subscribers
            rows.append(
                [
                    f"{events} events, {subscribers:,} subscribers",
                    f"{milliseconds:.1f}",
                    f"{microseconds:.2f}",
                    str(messages),
                    f"{bytes_out / 1024:.0f}",
                ]
            )
            figures[f"{events}x{subscribers}"] = {"ms": milliseconds, "us_per_subscriber": microseconds}
    columns = ["batch", "ms", "µs a subscriber", "messages encoded", "KiB encoded"]
    show("plan and encode (best of three)", columns, rows)
    finish(arguments, figures)
    return 0


def _measure(events: int, subscribers: int) -> tuple[float, int, int]:
    """Return the best time, the bytes and the number of distinct messages."""
    batch = batch_of(events)
    pages = pages_of(subscribers)
    best = float("inf")
    for _ in range(3):
        started = perf_counter()
        plan = Plan([batch], MAX_BYTES)
        views: dict[str, View] = {}
        for topic, bodies in pages.items():
            mask = plan.topics.get(topic, 0)
            view: View = ((V1, mask),)
            for body in bodies:
                page: Page = orjson.loads(body)
                for item in page["Items"]:
                    connection = item["connection_id"]["S"]
                    seen = views.get(connection)
                    views[connection] = view if seen is None else merged(seen, view)
        payloads: dict[View, tuple[bytes, ...]] = {}
        posts = []
        for connection in sorted(views):
            found = views[connection]
            if found not in payloads:
                payloads[found] = plan.messages(found)
            posts.append((connection, payloads[found]))
        best = min(best, (perf_counter() - started) * 1000)
    reached = sum(bool(messages) for _, messages in posts)
    assert reached == subscribers if events >= EVENTS_OF else reached >= subscribers // 2
    messages = [m for found in payloads.values() for m in found]
    return best, sum(map(len, messages)), len(messages)


if __name__ == "__main__":
    sys.exit(main())
