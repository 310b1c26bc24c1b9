"""Delivering a batch: who listens (audience), which bytes they get (plan), posting them (gateway)."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter

from chaincast.aws.audience import Audience
from chaincast.aws.gateway import Gateway, Outcomes
from chaincast.batches import Batch
from chaincast.errors import ChaincastError
from chaincast.fanout.plan import audience_topics, plan


class DeliveryFailed(ChaincastError):
    """Some connections may be alive and did not get the batch: it must be tried again, whole."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one batch on one shard. `ms` by step: query, plan, post."""

    outcomes: Outcomes
    queries: int
    deliveries: int
    ms: dict[str, float]
    topics_of_gone: dict[str, list[str]] = field(default_factory=dict)
    """The rows that led to connections which are gone."""


class Deliverer:
    """Delivers batches of one shard after the other."""

    def __init__(self, audience: Audience, gateway: Gateway, max_bytes: int) -> None:
        self._audience = audience
        self._gateway = gateway
        self._max_bytes = max_bytes

    async def deliver(self, batch: Batch, shard: int) -> Report:
        """Deliver to every subscriber of the shard. Raises `AudienceUnavailable`; failed posts are in the report."""
        started = perf_counter()
        queries = self._audience.requests
        masks = audience_topics(batch)
        subscribers = await self._audience.of(masks, shard)
        queried = perf_counter()
        deliveries = plan(batch, masks, subscribers, self._max_bytes)
        planned = perf_counter()
        outcomes = await self._gateway.deliver((d.payloads, d.connections) for d in deliveries)
        posted = perf_counter()
        gone = {
            connection: [topic for topic, members in subscribers.items() if any(m[0] == connection for m in members)]
            for connection in outcomes.gone
        }
        return Report(
            outcomes=outcomes,
            queries=self._audience.requests - queries,
            deliveries=sum(len(d.connections) for d in deliveries),
            ms={
                "query": (queried - started) * 1000,
                "plan": (planned - queried) * 1000,
                "post": (posted - planned) * 1000,
            },
            topics_of_gone=gone,
        )
