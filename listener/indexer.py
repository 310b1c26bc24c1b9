"""From blocks to their events: pure, but for what the adapters have learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Event, event_id
from chaincast.model.topics import chain_topics
from listener.adapters.base import Adapter, Decoded, Inquiry
from listener.adapters.codec import Undecodable
from listener.sources.base import Block, LogFilter, RawLog


@dataclass(frozen=True, slots=True)
class Indexed:
    """What a block brought: events in log order, and why logs were passed over."""

    events: tuple[Event, ...]
    undecodable: tuple[str, ...]


class Indexer:
    """The adapters of one network, applied to its blocks in order."""

    def __init__(self, network: str, adapters: Sequence[Adapter]) -> None:
        self._network = network
        self._adapters = adapters
        self._by_name = {adapter.name: adapter for adapter in adapters}
        self.wanted = merged([adapter.wanted for adapter in adapters])

    def inquire(self, blocks: Sequence[Block]) -> Inquiry:
        """What the adapters must learn before these blocks are indexed."""
        found: list[Discovery] = []
        for adapter in self._adapters:
            found += yield from adapter.inquire(blocks)
        return found

    def learn(self, discoveries: Iterable[Discovery]) -> None:
        """Take up discovered contracts. Those of adapters that are no longer configured are left alone."""
        for discovery in discoveries:
            adapter = self._by_name.get(discovery.adapter)
            if adapter is not None:
                adapter.learn(discovery)

    def index(self, block: Block) -> Indexed:
        """The block's events. What it tells of contracts must have been learned."""
        events: list[Event] = []
        undecodable: list[str] = []
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
        return Indexed(tuple(events), tuple(undecodable))

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
            conflation_key=decoded.conflation_key,
        )


def merged(filters: Iterable[LogFilter]) -> tuple[LogFilter, ...]:
    """Filters that want at least the same logs, in at most three questions: by signature, by both, by address."""
    anywhere: dict[bytes, None] = {}
    addresses: dict[str, None] = {}
    topics0: dict[bytes, None] = {}
    unsigned: dict[str, None] = {}
    for wanted in filters:
        if not wanted.addresses and not wanted.topics0:
            return (LogFilter(),)
        if not wanted.addresses:
            anywhere |= dict.fromkeys(wanted.topics0)
        elif not wanted.topics0:
            unsigned |= dict.fromkeys(wanted.addresses)
        else:
            addresses |= dict.fromkeys(wanted.addresses)
            topics0 |= dict.fromkeys(wanted.topics0)
    # What is asked for anywhere, or of an address altogether, need not be asked for again.
    topics0 = {t: None for t in topics0 if t not in anywhere}
    addresses = {a: None for a in addresses if a not in unsigned}
    found = []
    if anywhere:
        found.append(LogFilter((), tuple(anywhere)))
    if addresses and topics0:
        found.append(LogFilter(tuple(addresses), tuple(topics0)))
    if unsigned:
        found.append(LogFilter(tuple(unsigned), ()))
    return tuple(found)
