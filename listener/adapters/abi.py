"""Decoders of events' logs. A decoder compiles the types of its event once.

Source: the Solidity ABI specification, "Events" and "Encoding of Indexed Event Parameters".
"""

from __future__ import annotations

from typing import Any, TypeAlias

from eth_utils.crypto import keccak

from listener.adapters.codec import Budget, Parameter, Read, Type, Undecodable, budget_for, compile_type, members
from listener.sources.base import RawLog

Values: TypeAlias = dict[str, Any]
"""Parameter name → value, whose Python type depends on the parameter's type."""

__all__ = ["MAX_TEXT", "EventDecoder", "Parameter", "Undecodable", "Values"]

MAX_TEXT = 256
"""Characters of a text that are kept. The creator of a token chooses its name, and all subscribers receive it."""


class EventDecoder:
    """A decoder of one event's logs, e.g. `EventDecoder("Paid", Parameter("to", "address", indexed=True), …)`.

    `json`: return JSON values. Parameters without a name of their own are named `arg0`, `arg1` … by their index. Raise
    `BadType` for an unknown type.
    """

    def __init__(self, name: str, *parameters: Parameter, json: bool = False, anonymous: bool = False) -> None:
        types = [compile_type(p, json=json) for p in parameters]
        names = _names(parameters)
        self.name = name
        self.signature = f"{name}({','.join(t.canonical for t in types)})"
        self.anonymous = anonymous
        self.topic0 = keccak(text=self.signature)
        self._first_topic = 0 if anonymous else 1
        indexed = [(n, _in_topic(t)) for n, p, t in zip(names, parameters, types, strict=True) if p.indexed]
        self._indexed = indexed
        self.topic_count = len(indexed) + self._first_topic
        """Number of topics of a log. It distinguishes events with the same signature and other `indexed` parameters."""
        plain = [(n, t) for n, p, t in zip(names, parameters, types, strict=True) if not p.indexed]
        self._plain = [n for n, _ in plain]
        self._read = members([t for _, t in plain])
        # Decoding reads indexed parameters first. If they are declared first, the values need no reordering.
        self._in_order = [n for n, _ in indexed] + self._plain == names
        self._names = names

    def decode(self, log: RawLog) -> Values:
        """Return the values by parameter name. Raise `Undecodable` if the log has another shape.

        Addresses are in lower case. An indexed parameter of dynamic type is its Keccak-256 hash (0x hex).
        """
        if len(log.topics) != self.topic_count:
            raise Undecodable(f"{self.signature}: the log has {len(log.topics)} topics instead of {self.topic_count}")
        values: Values = {}
        try:
            for place, (name, read) in enumerate(self._indexed, self._first_topic):
                values[name] = read(log.topics[place], 0, _NO_BUDGET)
            if self._plain:
                for name, value in zip(self._plain, self._read(log.data, 0, budget_for(log.data)), strict=True):
                    values[name] = value
        except Undecodable as error:
            raise Undecodable(f"{self.signature}: {error}") from None
        return values if self._in_order else {name: values[name] for name in self._names}


_NO_BUDGET: Budget = [0]


def _in_topic(type_: Type) -> Read:
    """Return the reader of an indexed parameter. A topic has 32 bytes; for longer values it is their hash."""
    if type_.dynamic or type_.size != 32 or type_.canonical[-1:] in ")]":
        return lambda data, at, budget: "0x" + data.hex()
    read = type_.read

    def read_topic(data: bytes, at: int, budget: Budget) -> Any:
        if len(data) != 32:
            raise Undecodable(f"a topic has {len(data)} bytes instead of 32")
        return read(data, at, budget)

    return read_topic


def _names(parameters: tuple[Parameter, ...]) -> list[str]:
    names: list[str] = []
    for place, parameter in enumerate(parameters):
        names.append(parameter.name if parameter.name and parameter.name not in names else f"arg{place}")
    return names
