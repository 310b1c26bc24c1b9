"""Decoding a log by its event, compiled once.

Source: the Solidity ABI specification, "Events" and "Encoding of Indexed Event Parameters".
"""

from __future__ import annotations

from typing import Any, TypeAlias

from eth_utils.crypto import keccak

from listener.adapters.codec import Budget, Parameter, Read, Type, Undecodable, budget_for, compile_type, members
from listener.sources.base import RawLog

Values: TypeAlias = dict[str, Any]  # by parameter name; the signature says which Python type each has

__all__ = ["MAX_TEXT", "EventDecoder", "Parameter", "Undecodable", "Values"]

MAX_TEXT = 256
"""Characters kept of a text that everybody gets: whoever creates a token chooses its name's length."""


class EventDecoder:
    """Decodes the logs of one event, e.g. `EventDecoder("Paid", Parameter("to", "address", indexed=True), …)`.

    `json`: values as JSON has them. Parameters without a name, or with another's, are called `arg` and their place.
    Raises `BadType`.
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
        """Of its logs: what tells events of one signature apart whose `indexed` differ (ERC-20 and ERC-721)."""
        plain = [(n, t) for n, p, t in zip(names, parameters, types, strict=True) if not p.indexed]
        self._plain = [n for n, _ in plain]
        self._read = members([t for _, t in plain])
        # The order of the declaration, whatever is indexed.
        self._in_order = [n for n, _ in indexed] + self._plain == names
        self._names = names

    def decode(self, log: RawLog) -> Values:
        """The parameters by name; addresses in lower case, an indexed one of dynamic type as its hash (0x hex).

        Raises `Undecodable`.
        """
        if len(log.topics) != self.topic_count:
            raise Undecodable(f"{self.signature}: {len(log.topics)} topics, {self.topic_count} expected")
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
    """A topic has 32 bytes: of what is longer, or of no fixed length, there is only the hash."""
    if type_.dynamic or type_.size != 32 or type_.canonical[-1:] in ")]":
        return lambda data, at, budget: "0x" + data.hex()
    read = type_.read

    def read_topic(data: bytes, at: int, budget: Budget) -> Any:
        if len(data) != 32:
            raise Undecodable(f"a topic of {len(data)} bytes")
        return read(data, at, budget)

    return read_topic


def _names(parameters: tuple[Parameter, ...]) -> list[str]:
    names: list[str] = []
    for place, parameter in enumerate(parameters):
        names.append(parameter.name if parameter.name and parameter.name not in names else f"arg{place}")
    return names
