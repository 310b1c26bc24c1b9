"""Thousands of subscribers as pages of DynamoDB's JSON, prepared before the measurement."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from benchmarks.posting import connection_id
from chaincast.model.batches import Batch
from chaincast.model.events import Event, event_id
from chaincast.model.topics import chain_topics

V1 = "chaincast.v1"
NETWORK = "bsc"
PAGE_ITEMS = 8000
"""A page of Query has 1 MB of items. An item with its key and expiry takes about 120 bytes."""

EVENTS_OF = 10
"""Number of traded tokens. A batch with at least as many events has an event of each."""


def token(number: int) -> str:
    return f"0x{number % EVENTS_OF:040x}"


def batch_of(events: int, seq: int = 1) -> Batch:
    """Return a block of trades, each with the data of a launchpad's trade."""
    return Batch(
        source=NETWORK,
        seq=seq,
        timestamp=1_700_000_000_000,
        block=1_000_000 + seq,
        block_hash="0x" + "ab" * 32,
        events=tuple(_trade(i, seq) for i in range(events)),
    )


def _trade(number: int, seq: int) -> Event:
    contract = f"0x{number % EVENTS_OF + 4096:040x}"
    return Event(
        id=event_id(NETWORK, 1_000_000 + seq, "0x" + "ab" * 32, number),
        kind="trade",
        timestamp=1_700_000_000_000,
        topics=chain_topics("trade", NETWORK, contract, token(number)),
        data={
            "market": contract,
            "name": "Benchmark",
            "symbol": "BMK",
            "trader": f"0x{number:040x}",
            "side": "buy",
            "native_amount": "1000000000000000000",
            "token_amount": "31415926535897932384626433",
            "native_reserve": "30000000000000000000",
            "token_reserve": "1073000000000000000000000000",
            "price": "0.00000003183",
        },
        block=1_000_000 + seq,
        tx_hash=f"0x{number:064x}",
        log_index=number,
        contract=contract,
        token=token(number),
    )


def topics_of(number: int) -> str:
    """Return the topic of a subscriber: every other one listens to the whole network, the others to one token."""
    return f"network:{NETWORK}" if number % 2 else f"trades:{NETWORK}:{token(number // 2)}"


def pages_of(subscribers: int) -> dict[str, list[bytes]]:
    """Return the responses of Query by topic, page by page."""
    by_topic: dict[str, list[str]] = {}
    for number in range(subscribers):
        by_topic.setdefault(topics_of(number), []).append(connection_id(number))
    return {topic: [body for _, body in prepared(sorted(ids))] for topic, ids in by_topic.items()}


def prepared(ids: Sequence[str]) -> list[tuple[str, bytes]]:
    """Return the pages of one partition: the connection id after which each begins, and its body."""
    pages = []
    for start in range(0, max(len(ids), 1), PAGE_ITEMS):
        items = ids[start : start + PAGE_ITEMS]
        page: dict[str, object] = {
            "Items": [{"connection_id": {"S": i}, "dialect": {"S": V1}} for i in items],
            "Count": len(items),
        }
        if start + PAGE_ITEMS < len(ids):
            page["LastEvaluatedKey"] = {"connection_id": {"S": items[-1]}, "topic_shard": {"S": ""}}
        pages.append((ids[start - 1] if start else "", orjson.dumps(page)))
    return pages
