"""PostToConnection: messages to clients through API Gateway's management API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import uniform

from chaincast.aws.call import ServiceClient
from chaincast.aws.http import HttpError
from chaincast.aws.sigv4 import encode_segment, payload_hash

CONCURRENCY = 64
_ATTEMPTS = 4
_GONE = 410
_REFUSED = frozenset({400, 403, 413})


@dataclass(slots=True)
class Outcomes:
    """What became of the messages of some deliveries, by connection."""

    posted: int = 0
    gone: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Not delivered, though the connection may live: to be tried again with the whole batch."""
    refused: dict[str, int] = field(default_factory=dict)
    """Never deliverable (status by connection): too large, or no permission; trying again would not help."""
    repeated: int = 0
    """Posts sent again although the first may have arrived."""


class Gateway:
    """Posts payloads to connections, each connection's in order, many connections at once."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def deliver(self, deliveries: Iterable[tuple[Sequence[bytes], Sequence[str]]]) -> Outcomes:
        """Post each delivery's payloads, in order, to each of its connections. Never raises for a connection's sake."""
        outcomes = Outcomes()
        tasks = [(hashed, c) for payloads, to in deliveries for hashed in [_hashed(payloads)] for c in to]
        work = iter(tasks)

        async def worker() -> None:
            for hashed, connection in work:
                await self._deliver_one(connection, hashed, outcomes)

        await asyncio.gather(*(worker() for _ in range(min(CONCURRENCY, len(tasks)))))
        return outcomes

    async def _deliver_one(self, connection: str, payloads: list[tuple[bytes, str]], outcomes: Outcomes) -> None:
        path = "/@connections/" + encode_segment(connection)
        for body, body_hash in payloads:
            status = await self._post(path, body, body_hash, outcomes)
            if status == 200:
                outcomes.posted += 1
            elif status == _GONE:
                outcomes.gone.append(connection)
                return
            elif status in _REFUSED:
                outcomes.refused[connection] = status
            else:
                outcomes.failed.append(connection)
                return

    async def _post(self, path: str, body: bytes, body_hash: str, outcomes: Outcomes) -> int:
        """The final status of one post; 0 where there was no answer at all."""
        status = 0
        for attempt in range(_ATTEMPTS):
            if attempt:
                await asyncio.sleep(uniform(0.5, 1) * 0.05 * 4**attempt)  # noqa: S311 - jitter, no secret
            try:
                status = (await self._client.post(path, body, body_hash)).status
            except HttpError as error:
                status = 0
                outcomes.repeated += error.maybe_sent
                continue
            if status < 500 and status != 429:
                break
        return status


def _hashed(payloads: Sequence[bytes]) -> list[tuple[bytes, str]]:
    return [(body, payload_hash(body)) for body in payloads]
