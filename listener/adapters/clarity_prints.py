"""Contracts on Stacks: what they print becomes a `contract.event`, called as the print calls itself."""

from __future__ import annotations

from collections.abc import Sequence

from chaincast.config.network import ANY_ADDRESS
from chaincast.model.events import Json, Kind
from listener.adapters.base import Decoded, DiscoversNothing
from listener.adapters.clarity import decode_hex, parse_repr
from listener.adapters.contract_abi import MAX_DATA
from listener.sources.base import LogFilter, RawLog

PRINT = b"print"
"""The first topic of what the Stacks source gives; the data is the serialized value."""

REPR = b"repr"
"""The second topic where an API gives a value as text only, which the data is then (UTF-8)."""

_NAMES = ("event", "type", "notification", "action", "topic", "name", "a")
"""Members of a printed tuple that contracts put the event's name in, the usual ones first."""


class ClarityPrints(DiscoversNothing):
    """Reads the prints of contracts, `principal.contract`; there is nothing to configure."""

    def __init__(self, addresses: Sequence[str], events: Sequence[str]) -> None:
        self.name = f"abi {addresses[0]}"
        self._addresses = frozenset(a for a in addresses if a != ANY_ADDRESS)
        self._events = frozenset(events)
        self.wanted = LogFilter(tuple(sorted(self._addresses)), (PRINT,))

    def decode(self, log: RawLog) -> Decoded | None:
        if self._addresses and log.address not in self._addresses:
            return None
        if len(log.data) > MAX_DATA:
            data: dict[str, Json] = {"event": "print", "args": None, "data_bytes": len(log.data)}
            return Decoded(Kind.CONTRACT_EVENT, data)
        as_text = log.topics[1:] == (REPR,)
        value = parse_repr(log.data.decode("utf-8", "replace")) if as_text else decode_hex(log.data.hex())
        name = _name_of(value)
        if self._events and name not in self._events:
            return None
        return Decoded(Kind.CONTRACT_EVENT, {"event": name, "args": value})


def _name_of(value: Json) -> str:
    if isinstance(value, dict):
        for key in _NAMES:
            if isinstance(name := value.get(key), str) and name:
                return name
    return "print"
