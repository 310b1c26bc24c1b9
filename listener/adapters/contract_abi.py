"""Any contract with a JSON ABI: each of its events becomes a `contract.event` with named arguments."""

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
"""Maximum bytes of a log's data. An event of a longer log has no arguments, so that it fits a message to a client."""


class ContractAbi(DiscoversNothing):
    """The adapter of contracts with one ABI, at given addresses (for a proxy, the proxy's address) or at all addresses.

    Events with the same signature are distinguished by the number of indexed parameters, such as `Transfer` of ERC-20
    and ERC-721. A log without a known signature is decoded as an anonymous event with the same number of topics.
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
        # Anonymous events have no signature by which logs could be requested.
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
            self._signatures[topic0].decode(log)  # raises the error that describes the mismatch
        return None


def _event(decoder: EventDecoder, log: RawLog) -> Decoded:
    data: dict[str, Json] = {"event": decoder.name, "signature": decoder.signature}
    if len(log.data) > MAX_DATA:
        data |= {"args": None, "data_bytes": len(log.data)}
    else:
        data["args"] = decoder.decode(log)
    return Decoded(Kind.CONTRACT_EVENT, data)
