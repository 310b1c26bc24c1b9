"""Contracts on Stacks: each printed value becomes a `contract.event`, named by a member of the value."""

from __future__ import annotations

from collections.abc import Sequence

from chaincast.config.network import ANY_ADDRESS
from chaincast.model.events import Json, Kind
from listener.adapters.base import Decoded, DiscoversNothing
from listener.adapters.clarity import decode_hex, parse_repr
from listener.adapters.contract_abi import MAX_DATA
from listener.sources.base import LogFilter, RawLog

PRINT = b"print"
"""First topic of a log of the Stacks source. The log's data is the serialized value."""

REPR = b"repr"
"""Second topic if the API returned the value only as text. The log's data is then this text (UTF-8)."""

_NAMES = ("event", "type", "notification", "action", "topic", "name", "a")
"""Members of a printed tuple that may contain the event's name, the most common first."""


class ClarityPrints(DiscoversNothing):
    """The adapter of contracts on Stacks (`principal.contract`), which needs no ABI."""

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
