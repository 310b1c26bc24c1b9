"""Events, batches and blocks for tests, with only what a test cares about spelled out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from chaincast.model.batches import Batch, Retraction
from chaincast.model.events import Event, Json, event_id
from chaincast.model.topics import chain_topics

if TYPE_CHECKING:
    from chaincast.aws.lambda_events import HttpEvent

NETWORK = "anvil"
TOKEN = "0x" + "aa" * 20
OTHER_TOKEN = "0x" + "bb" * 20
MARKET = "0x" + "cc" * 20
BLOCK_HASH = "0x" + "1234abcd" + "00" * 28


def make_event(
    log_index: int = 0,
    *,
    kind: str = "trade",
    token: str | None = TOKEN,
    contract: str = MARKET,
    network: str = NETWORK,
    block: int = 7,
    data: dict[str, Json] | None = None,
) -> Event:
    return Event(
        id=event_id(network, block, BLOCK_HASH, log_index),
        kind=kind,
        timestamp=1_700_000_000_000 + block * 1000,
        topics=chain_topics(kind, network, contract, token),
        data=data if data is not None else {"side": "buy"},
        block=block,
        tx_hash="0x" + f"{log_index:064x}",
        log_index=log_index,
        contract=contract,
        token=token,
    )


def make_batch(
    *events: Event, seq: int = 5, block: int = 7, source: str = NETWORK, retracted: tuple[Retraction, ...] = ()
) -> Batch:
    return Batch(
        source=source,
        seq=seq,
        timestamp=1_700_000_000_000 + block * 1000,
        events=events,
        retracted=retracted,
        block=block,
        block_hash=BLOCK_HASH,
    )


def of_logs(ids: Iterable[str]) -> list[str]:
    """The ids of events that logs of the chain stand for; not of those that the market derived from them."""
    return [id_ for id_ in ids if id_.count(":") == 3]


def http_event(
    method: str,
    path: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    query: Mapping[str, str] | None = None,
    route: str = "",
    encoded: bool = False,
) -> HttpEvent:
    """Return a request as an HTTP API passes it to a function.

    Source: "Create AWS Lambda proxy integrations for HTTP APIs", payload format 2.0.
    """
    route_key = f"{method} {route or path}"
    made: dict[str, object] = {
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": path,
        "rawQueryString": urlencode(query or {}),
        "headers": {**(headers or {})},
        "requestContext": {
            "requestId": "r",
            "routeKey": route_key,
            "stage": "$default",
            "http": {
                "method": method,
                "path": path,
                "sourceIp": "203.0.113.9",
                "userAgent": "",
                "protocol": "HTTP/1.1",
            },
        },
        "body": body,
        "isBase64Encoded": encoded,
    }
    if query:
        made["queryStringParameters"] = {**query}
    return made  # type: ignore[return-value]  # as API Gateway makes it
