"""Socket.IO protocol 5: packets, as they stand in Engine.IO's messages. Text only.

Source: the Socket.IO protocol, "Packet encoding": `<type>[<attachments>-][<namespace>,][<ack id>][JSON payload]`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import orjson

from chaincast.errors import Code, ProtocolViolation
from chaincast.model.events import Json
from chaincast.protocol.dialects.json_input import MAX_DEPTH, depth_exceeds

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)
MAIN: Final = "/"

_PACKET: Final = re.compile(r"([0-6])(?:(\d{1,9})-)?(?:(/[^,]*)(?:,|\Z))?(\d{1,15})?", re.ASCII)
_RESERVED: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)


@dataclass(frozen=True, slots=True)
class Packet:
    """`payload` is None where there is none; `ack` the number to answer with, if an answer is wanted."""

    type: int
    namespace: str
    ack: int | None
    payload: Json


def parse_packet(text: str) -> Packet:
    """A packet from a client. Raises `ProtocolViolation` for what the protocol closes the connection on."""
    found = _PACKET.match(text)
    if found is None:
        raise ProtocolViolation(Code.BAD_MESSAGE, f"no Socket.IO packet: {text[:40]!r}")
    digit, attachments, namespace, ack = found.groups()
    type_ = int(digit)
    if (attachments is not None) != (type_ in (BINARY_EVENT, BINARY_ACK)):
        raise ProtocolViolation(Code.BAD_MESSAGE, f"attachments of a packet of type {type_}: {text[:40]!r}")
    packet = Packet(type_, namespace or MAIN, None if ack is None else int(ack), _payload(text[found.end() :]))
    if not _is_valid(packet):
        raise ProtocolViolation(Code.BAD_MESSAGE, f"a packet of type {type_} cannot have this payload: {text[:40]!r}")
    return packet


def _payload(text: str) -> Json:
    if not text:
        return None
    body = text.encode()
    if depth_exceeds(body, MAX_DEPTH):
        raise ProtocolViolation(Code.TOO_DEEP, f"payload is nested deeper than {MAX_DEPTH} levels")
    try:
        payload: Json = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ProtocolViolation(Code.BAD_JSON, f"payload is not JSON: {error}; it begins {text[:40]!r}") from None
    return payload


def _is_valid(packet: Packet) -> bool:
    payload = packet.payload
    match packet.type:
        case 0:  # CONNECT
            return payload is None or isinstance(payload, dict)
        case 1:  # DISCONNECT
            return payload is None
        case 2 | 5:  # EVENT, BINARY_EVENT
            return isinstance(payload, list) and bool(payload) and _is_name(payload[0])
        case 3 | 6:  # ACK, BINARY_ACK
            return isinstance(payload, list) and packet.ack is not None
    return False  # CONNECT_ERROR is the server's


def _is_name(value: Json) -> bool:
    if isinstance(value, str):
        return value not in _RESERVED
    return isinstance(value, int) and not isinstance(value, bool)


def connect_frame(sid: str) -> bytes:
    """The client is in."""
    return b"40" + orjson.dumps({"sid": sid})


def connect_error_frame(namespace: str, message: str, data: Json = None) -> bytes:
    """The client is not let in."""
    body: dict[str, Json] = {"message": message} if data is None else {"message": message, "data": data}
    prefix = "" if namespace == MAIN else f"{namespace},"
    return b"44" + prefix.encode() + orjson.dumps(body)


def event_frame(name: str, data: Json) -> bytes:
    """An event with one argument."""
    return b"42" + orjson.dumps([name, data])


def ack_frame(ack: int, data: Json) -> bytes:
    """The answer to the event that asked for one."""
    return b"43%d%b" % (ack, orjson.dumps([data]))
