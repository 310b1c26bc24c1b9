"""Decoding a log by its event's signature: built once per event, on eth-abi (web3.py's own decoder).

Source: the Solidity ABI specification, "Events" and "Encoding of Indexed Event Parameters".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from chaincast.errors import ChaincastError
from listener.sources.base import RawLog

Values: TypeAlias = dict[str, Any]  # by parameter name; the signature says which Python type each has

MAX_TEXT = 256
"""Characters kept of a text: whoever creates a token chooses its name's length, and events go to everybody."""


class Undecodable(ChaincastError):
    """A log has the event's signature but not its shape: another contract's event of the same name, or damage."""


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: str
    indexed: bool = False


class EventDecoder:
    """Decodes the logs of one event, e.g. `EventDecoder("Paid", Parameter("to", "address", indexed=True), …)`."""

    def __init__(self, name: str, *parameters: Parameter) -> None:
        self.signature = f"{name}({','.join(p.type for p in parameters)})"
        self.topic0 = keccak(text=self.signature)
        self._indexed = [p for p in parameters if p.indexed]
        self._plain = [p for p in parameters if not p.indexed]
        # `string` is read as `bytes` (the same encoding): a hostile contract's text need not be UTF-8.
        self._types = ["bytes" if p.type == "string" else p.type for p in self._plain]

    def decode(self, log: RawLog) -> Values:
        """The parameters by name; addresses in lower case, texts cut to `MAX_TEXT`. Raises `Undecodable`."""
        if len(log.topics) != len(self._indexed) + 1:
            raise Undecodable(f"{self.signature}: {len(log.topics)} topics, {len(self._indexed) + 1} expected")
        try:
            values = {
                p.name: _shaped(p.type, decode([p.type], topic)[0])
                for p, topic in zip(self._indexed, log.topics[1:], strict=True)
            }
            for p, value in zip(self._plain, decode(self._types, log.data), strict=True):
                values[p.name] = _shaped(p.type, value)
        except (DecodingError, OverflowError, ValueError) as error:
            raise Undecodable(f"{self.signature}: {error}") from error
        return values


def _shaped(type_: str, value: Any) -> Any:
    if type_ == "address":
        return value.lower()
    if type_ == "string":
        return value.decode("utf-8", "replace")[:MAX_TEXT]
    return value
