"""Any contract by its JSON ABI: each of its events becomes a `contract.event` with named arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence

from chaincast.config.network import ANY_ADDRESS
from chaincast.model.events import Json, Kind
from listener.adapters.abi import EventDecoder
from listener.adapters.base import Decoded, DiscoversNothing
from listener.adapters.codec import Undecodable, parameters_of
from listener.sources.base import LogFilter, RawLog

MAX_DATA = 24_000
"""Bytes of a log's data that are told; of a longer one, that it was there: an event must fit a message to a client."""


class ContractAbi(DiscoversNothing):
    """Reads the events of contracts with one ABI, at given addresses (a proxy's are told under its own) or anywhere.

    Events that share a signature are told apart by how many of their parameters are indexed, as ERC-20's and ERC-721's
    `Transfer`; an anonymous event by the number of its topics, if none with a signature fits.
    """

    def __init__(self, addresses: Sequence[str], abi: str) -> None:
        entries = [entry for entry in json.loads(abi) if entry.get("type") == "event"]
        decoders = [
            EventDecoder(
                entry["name"],
                *parameters_of(entry.get("inputs", ())),
                json=True,
                anonymous=bool(entry.get("anonymous")),
            )
            for entry in entries
        ]
        self._named = {(d.topic0, d.topic_count): d for d in decoders if not d.anonymous}
        self._signatures = {d.topic0: d for d in decoders if not d.anonymous}
        self._anonymous: dict[int, list[EventDecoder]] = {}
        for decoder in decoders:
            if decoder.anonymous:
                self._anonymous.setdefault(decoder.topic_count, []).append(decoder)
        anywhere = ANY_ADDRESS in addresses
        self._addresses = frozenset(() if anywhere else addresses)
        # Anonymous events have no signature to ask for.
        topics0 = () if self._anonymous else tuple(self._signatures)
        self.wanted = LogFilter(tuple(sorted(self._addresses)), topics0)
        self.name = f"abi {addresses[0]}"

    def decode(self, log: RawLog) -> Decoded | None:
        if self._addresses and log.address not in self._addresses:
            return None
        topic0 = log.topics[0] if log.topics else b""
        decoder = self._named.get((topic0, len(log.topics)))
        if decoder is not None:
            return _event(decoder, log)
        for anonymous in self._anonymous.get(len(log.topics), ()):
            try:
                return _event(anonymous, log)
            except Undecodable:
                continue
        if topic0 in self._signatures:
            self._signatures[topic0].decode(log)  # says what is wrong
        return None


def _event(decoder: EventDecoder, log: RawLog) -> Decoded:
    data: dict[str, Json] = {"event": decoder.name, "signature": decoder.signature}
    if len(log.data) > MAX_DATA:
        data |= {"args": None, "data_bytes": len(log.data)}
    else:
        data["args"] = decoder.decode(log)
    return Decoded(Kind.CONTRACT_EVENT, data)
