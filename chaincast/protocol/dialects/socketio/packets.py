"""Socket.IO protocol 5: the packets inside Engine.IO's messages. Text only.

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
"""Types of packets."""
MAIN: Final = "/"
"""The main namespace, the only one that the server has."""

_PACKET: Final = re.compile(r"([0-6])(?:(\d{1,9})-)?(?:(/[^,]*)(?:,|\Z))?(\d{1,15})?", re.ASCII)
_RESERVED: Final = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
"""Names that an event must not have."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet from a client.

    `payload`: None if the packet has none. `ack`: number that the acknowledgement must carry; None if none is wanted.
    """

    type: int
    namespace: str
    ack: int | None
    payload: Json


def parse_packet(text: str) -> Packet:
    """Return the packet in an Engine.IO message.

    Raises `ProtocolViolation` if the text is not a valid packet; the protocol then requires closing the connection.
    """
    header = _PACKET.match(text)
    if header is None:
        raise ProtocolViolation(Code.BAD_MESSAGE, f"message {text[:40]!r} is not a Socket.IO packet")
    digit, attachments, namespace, ack = header.groups()
    type_ = int(digit)
    if (attachments is not None) != (type_ in (BINARY_EVENT, BINARY_ACK)):
        raise ProtocolViolation(
            Code.BAD_MESSAGE, f"packet {text[:40]!r}: binary packets have a number of attachments, others have none"
        )
    packet = Packet(type_, namespace or MAIN, None if ack is None else int(ack), _payload(text[header.end() :]))
    if not _is_valid(packet):
        raise ProtocolViolation(Code.BAD_MESSAGE, f"packet {text[:40]!r}: type {type_} cannot have this payload")
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
    """Return True if a client may send a packet of this type with this payload."""
    payload = packet.payload
    if packet.type == CONNECT:
        return payload is None or isinstance(payload, dict)
    if packet.type == DISCONNECT:
        return payload is None
    if packet.type in (EVENT, BINARY_EVENT):
        return isinstance(payload, list) and bool(payload) and _is_event_name(payload[0])
    if packet.type in (ACK, BINARY_ACK):
        return isinstance(payload, list) and packet.ack is not None
    return False  # only a server sends CONNECT_ERROR


def _is_event_name(value: Json) -> bool:
    if isinstance(value, str):
        return value not in _RESERVED
    return isinstance(value, int) and not isinstance(value, bool)


def connect_frame(sid: str) -> bytes:
    """Return the confirmation that the client has joined the main namespace."""
    return b"40" + orjson.dumps({"sid": sid})


def connect_error_frame(namespace: str, message: str, data: Json = None) -> bytes:
    """Return the refusal to let the client join a namespace."""
    body: dict[str, Json] = {"message": message} if data is None else {"message": message, "data": data}
    prefix = "" if namespace == MAIN else f"{namespace},"
    return b"44" + prefix.encode() + orjson.dumps(body)


def event_frame(name: str, data: Json) -> bytes:
    """Return an event with one argument."""
    return b"42" + orjson.dumps([name, data])


def ack_frame(ack: int, data: Json) -> bytes:
    """Return the acknowledgement of the event that carried the number `ack`."""
    return b"43%d%b" % (ack, orjson.dumps([data]))
