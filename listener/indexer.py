"""From a block to its events: pure, but for what the adapters have learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaincast.events import Event, event_id
from chaincast.topics import chain_topics
from listener.adapters.abi import Undecodable
from listener.adapters.base import Adapter, Decoded, Discovery
from listener.sources.base import Block, RawLog


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a block brought: events in log order, contracts it told of, and why logs were passed over."""

    events: tuple[Event, ...]
    discoveries: tuple[Discovery, ...]
    undecodable: tuple[str, ...]


class Indexer:
    """The adapters of one network, applied to its blocks in order."""

    def __init__(self, network: str, adapters: Sequence[Adapter]) -> None:
        self._network = network
        self._adapters = adapters
        self.topics0: tuple[bytes, ...] = tuple(dict.fromkeys(t for a in adapters for t in a.topics0))

    def learn(self, discoveries: Iterable[Discovery]) -> None:
        """Take up the contracts discovered before a restart."""
        for discovery in discoveries:
            for adapter in self._adapters:
                adapter.learn(discovery)

    def index(self, block: Block) -> Indexed:
        """The block's events. Contracts are learned first: a market may trade in the block that creates it."""
        discoveries: list[Discovery] = []
        events: list[Event] = []
        undecodable: list[str] = []
        for adapter in self._adapters:
            for log in block.logs:
                try:
                    discovery = adapter.discover(log)
                except Undecodable:
                    continue  # decode says so, below
                if discovery is not None:
                    adapter.learn(discovery)
                    discoveries.append(discovery)
        for log in block.logs:
            for adapter in self._adapters:
                try:
                    decoded = adapter.decode(log)
                except Undecodable as error:
                    undecodable.append(f"{log.tx_hash} log {log.log_index} of {log.address}: {error}")
                    continue
                if decoded is not None:
                    events.append(self._event(block, log, decoded))
                    break
        return Indexed(tuple(events), tuple(discoveries), tuple(undecodable))

    def _event(self, block: Block, log: RawLog, decoded: Decoded) -> Event:
        return Event(
            id=event_id(self._network, block.number, block.hash, log.log_index),
            kind=decoded.kind,
            timestamp=block.timestamp * 1000,
            topics=chain_topics(decoded.kind, self._network, log.address, decoded.token),
            data=decoded.data,
            block=block.number,
            tx_hash=log.tx_hash,
            log_index=log.log_index,
            contract=log.address,
            token=decoded.token,
        )
