"""Indexing of blocks: adapters turn logs into events. Pure, except that adapters remember discovered contracts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chaincast.model.discovered_contracts import Discovery
from chaincast.model.events import Event, event_id
from chaincast.model.topics import chain_topics
from listener.adapters.base import Adapter, ContractReads, Decoded
from listener.adapters.codec import Undecodable
from listener.sources.base import Block, LogFilter, RawLog


@dataclass(frozen=True, slots=True)
class Indexed:
    """The events of a block in log order, and the reasons why logs were skipped."""

    events: tuple[Event, ...]
    undecodable: tuple[str, ...]


class Indexer:
    """The adapters of one network."""

    def __init__(self, network: str, adapters: Sequence[Adapter]) -> None:
        self._network = network
        self._adapters = adapters
        self._by_name = {adapter.name: adapter for adapter in adapters}
        self.wanted = merged([adapter.wanted for adapter in adapters])

    def contract_reads(self, blocks: Sequence[Block]) -> ContractReads:
        """Yield the reads of contracts that the adapters need for these blocks; return the discovered contracts."""
        found: list[Discovery] = []
        for adapter in self._adapters:
            found += yield from adapter.contract_reads(blocks)
        return found

    def add_contracts(self, discoveries: Iterable[Discovery]) -> None:
        """Follow discovered contracts. Contracts of adapters that are no longer configured are ignored."""
        for discovery in discoveries:
            adapter = self._by_name.get(discovery.adapter)
            if adapter is not None:
                adapter.add_contract(discovery)

    def index(self, block: Block) -> Indexed:
        """Return the block's events. Its discovered contracts must have been added before."""
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
    """Return at most three filters that together match at least the logs of the given ones.

    They select logs by signature, by address and signature, and by address.
    """
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
    # Signatures that are wanted from any address, and addresses whose logs are all wanted, need no filter of their own.
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
