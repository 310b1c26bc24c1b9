"""What a Socket.IO client may send: packets, and the verbs of three vocabularies as models.

Apart from the encoder, because only functions that read clients' messages should pay for importing pydantic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, TypeAdapter

from chaincast.errors import ClientError, Code, ProtocolViolation, Request
from chaincast.model.events import Json, Kind
from chaincast.model.topics import ANY, OWN, Topic
from chaincast.protocol.commands import (
    Authenticate,
    CloseConnection,
    Command,
    GetHistory,
    GetPrice,
    GetStats,
    Join,
    KeepAlive,
    Leave,
    Ping,
    Subscribe,
    Unsubscribe,
)
from chaincast.protocol.dialects.json_input import parse_text
from chaincast.protocol.dialects.socketio import engine_packets, packets
from chaincast.protocol.dialects.socketio.kaspump import ours
from chaincast.protocol.dialects.validation import quote_value, validate_message

CONNECTING: Final = "connect"
PROBING: Final = "probe"
_Text: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=1024)]
M = TypeVar("M", bound=BaseModel)


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """The client's command. Raises `ClientError` (`ProtocolViolation` where the connection is to be closed), and
    nothing else, whatever the bytes are."""
    text = parse_text(body, max_bytes)
    match text[:1]:
        case engine_packets.MESSAGE:
            return _packet(packets.parse_packet(text[1:]))
        case engine_packets.PONG | engine_packets.UPGRADE | engine_packets.NOOP:
            return KeepAlive()
        case engine_packets.PING:
            return Ping(Request(PROBING, (text[1:129],)))
        case engine_packets.CLOSE:
            return CloseConnection()
        case engine_packets.BINARY:
            raise ClientError(Code.UNSUPPORTED, "binary messages are not supported: send text")
    raise ProtocolViolation(Code.BAD_MESSAGE, f"no Engine.IO packet: {text[:40]!r}")


def _packet(packet: packets.Packet) -> Command:
    main = packet.namespace == packets.MAIN
    match packet.type:
        case packets.CONNECT:
            request = Request(CONNECTING, (packet.namespace,))
            if not main:
                raise ClientError(Code.UNKNOWN_ROUTE, "Invalid namespace", request)
            token = packet.payload.get("token") if isinstance(packet.payload, dict) else None
            return Join(token if isinstance(token, str) else "", request)
        case packets.DISCONNECT:
            return Leave() if main else KeepAlive()
        case packets.ACK if main:
            return KeepAlive()
        case packets.EVENT | packets.BINARY_EVENT if main:
            assert isinstance(packet.payload, list)
            name, *arguments = packet.payload
            if packet.type == packets.BINARY_EVENT:
                refused = Request("", (), packet.ack)
                raise ClientError(Code.UNSUPPORTED, f"event {quote_value(name)} is binary: send text only", refused)
            return _event(name, arguments[0] if arguments else {}, packet.ack)
    raise ProtocolViolation(Code.BAD_MESSAGE, f"a packet of type {packet.type} for {packet.namespace[:40]!r}")


def _event(name: Json, argument: Json, ack: int | None) -> Command:
    verb = _VERBS.get(name) if isinstance(name, str) else None
    if verb is None:
        known = ", ".join(_VERBS)
        raise ClientError(Code.UNKNOWN_TYPE, f"unknown event {quote_value(name)}; known: {known}", Request("", (), ack))
    return verb(argument, ack)


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Token(_Model):
    tokenAddress: _Text
    network: Annotated[StrictStr, Field(max_length=64)] | None = None
    limit: Annotated[StrictInt, Field(ge=1, le=100)] = 20


class _Network(_Model):
    network: Annotated[StrictStr, Field(min_length=1, max_length=64)]


class _Contract(_Model):
    contractId: _Text
    eventTypes: Annotated[list[Annotated[StrictStr, Field(pattern=r"^[^\s:]{1,128}$")]], Field(max_length=20)] = Field(
        default_factory=list
    )
    limit: Annotated[StrictInt, Field(ge=1, le=100)] = 50


class _Types(_Model):
    types: Annotated[list[Annotated[StrictStr, Field(max_length=64)]], Field(min_length=1, max_length=20)]


class _Room(_Model):
    room: _Text


class _Fresh(_Model):
    token: Annotated[StrictStr, Field(min_length=1)]


_fresh: TypeAdapter[_Fresh] = TypeAdapter(_Fresh)
_token: TypeAdapter[_Token] = TypeAdapter(_Token)
_network: TypeAdapter[_Network] = TypeAdapter(_Network)
_contract: TypeAdapter[_Contract] = TypeAdapter(_Contract)
_types: TypeAdapter[_Types] = TypeAdapter(_Types)
_room: TypeAdapter[_Room] = TypeAdapter(_Room)


def _read(adapter: TypeAdapter[M], argument: Json, request: Request) -> M:
    try:
        return validate_message(adapter, argument, request.verb.partition("/")[2])
    except ClientError as error:
        raise error.with_request_id(request) from None


def _topic(text: str, request: Request) -> Topic:
    try:
        return Topic.parse(text)
    except ClientError as error:
        raise error.with_request_id(request) from None


def _of_token(verb: str, argument: Json, ack: int | None) -> Command:
    """Kaspump's verbs about a token."""
    request = Request(f"kaspump/{verb}", (), ack)
    wanted = _read(_token, argument, request)
    network = ANY if wanted.network is None else ours(wanted.network)
    topic = _topic(f"token:{network}:{wanted.tokenAddress}", request)
    if verb == "get:price":
        about = (wanted.tokenAddress, wanted.network or "")
        return GetPrice(topic.scope, topic.key, Request(request.verb, about, ack))
    if verb == "get:trades":
        return GetHistory("trades", Topic("trades", topic.scope, topic.key), wanted.limit, request_id=request)
    room = f"token:{wanted.network}:{wanted.tokenAddress}" if wanted.network else f"token:{wanted.tokenAddress}"
    return _listening(verb, topic, Request(request.verb, (room,), ack), "kaspump")


def _of_network(verb: str, argument: Json, ack: int | None) -> Command:
    """Kaspump's verbs about a network."""
    request = Request(f"kaspump/{verb}", (), ack)
    wanted = _read(_network, argument, request)
    topic = _topic(f"network:{ours(wanted.network)}", request)
    return _listening(verb, topic, Request(request.verb, (f"network:{wanted.network}",), ack), "kaspump")


def _of_contract(verb: str, argument: Json, ack: int | None) -> Command:
    """Adstack's verbs."""
    request = Request(f"adstack/{verb}", (), ack)
    wanted = _read(_contract, argument, request)
    topic = _topic(f"contract:{ANY}:{wanted.contractId}", request)
    request = Request(request.verb, (wanted.contractId, *wanted.eventTypes), ack)
    if verb == "getHistory":
        return GetHistory("history", topic, wanted.limit, tuple(wanted.eventTypes), request_id=request)
    if verb == "getStats":
        return GetStats(topic, request)
    kinds = [kind for type_ in wanted.eventTypes for kind in (type_, f"{Kind.CONTRACT_EVENT}:{type_}")]
    return _listening(verb, topic, request, "adstack", tuple(kinds))


def _listening(verb: str, topic: Topic, request: Request, vocabulary: str, kinds: tuple[str, ...] = ()) -> Command:
    if verb.startswith("unsubscribe"):
        return Unsubscribe((topic,), request)
    return Subscribe((topic,), kinds, request_id=request, vocabulary=vocabulary)


_PRICES, _BOOKS, _TRADES = (Topic(family, ANY) for family in ("price", "orderbook", "trade"))
_PORTFOLIO, _ORDERS = (Topic(family, OWN) for family in ("portfolio", "orders"))
_OF_TYPE: Final[dict[str, Topic | None]] = {
    **dict.fromkeys(("price_updates", "price_update", "prices"), _PRICES),
    **dict.fromkeys(("order_book_updates", "order_book_update", "order_books"), _BOOKS),
    **dict.fromkeys(("trades", "trade_notifications", "trade_notification"), _TRADES),
    **dict.fromkeys(("portfolio_updates", "portfolio_update", "portfolio"), _PORTFOLIO),
    **dict.fromkeys(("order_updates", "order_update", "orders"), _ORDERS),
    **dict.fromkeys(("system_alerts", "system_alert"), None),  # which everybody gets
}
_ROOMS: Final = ("price", "orderbook", "trade", "user", "portfolio", "orders", "events", "system")


def _subscribe_types(argument: Json, ack: int | None) -> Command:
    request = Request("moonx-gateway/subscribe", (), ack)
    wanted = _read(_types, argument, request)
    if unknown := [type_ for type_ in wanted.types if type_ not in _OF_TYPE]:
        known = ", ".join(_OF_TYPE)
        raise ClientError(Code.UNKNOWN_TOPIC, f"unknown type {quote_value(unknown[0])}; known: {known}", request)
    topics = dict.fromkeys(topic for type_ in wanted.types if (topic := _OF_TYPE[type_]) is not None)
    request = Request(request.verb, tuple(wanted.types), ack)
    return Subscribe(tuple(topics), request_id=request, vocabulary="moonx-gateway")


def _of_room(verb: str, argument: Json, ack: int | None) -> Command:
    request = Request(f"moonx-gateway/{verb}", (), ack)
    room = _read(_room, argument, request).room
    topic = _topic(room, request)
    if topic.family not in _ROOMS:
        raise ClientError(Code.UNKNOWN_TOPIC, f"unknown room {quote_value(room)}; known: {', '.join(_ROOMS)}", request)
    request = Request(request.verb, (room,), ack)
    topics = (topic,) if topic.family != "system" else ()  # which everybody gets
    if verb == "leave_room":
        return Unsubscribe(topics, request)
    return Subscribe(topics, request_id=request, vocabulary="moonx-gateway")


def _subscribe(argument: Json, ack: int | None) -> Command:
    """The one verb of two vocabularies: what it is about tells them apart."""
    if isinstance(argument, dict) and "types" in argument and "contractId" not in argument:
        return _subscribe_types(argument, ack)
    return _of_contract("subscribe", argument, ack)


def _authenticate(argument: Json, ack: int | None) -> Command:
    """Not a verb of the servers that spoke this before: a fresh token, when the one of the handshake ends."""
    request = Request("authenticate", (), ack)
    return Authenticate(_read(_fresh, argument, request).token, request)


_Verb: TypeAlias = Callable[[Json, int | None], Command]


def _bound(about: Callable[[str, Json, int | None], Command], verb: str) -> tuple[str, _Verb]:
    return verb, lambda argument, ack: about(verb, argument, ack)


_VERBS: Final[dict[str, _Verb]] = dict(
    [
        *(_bound(_of_token, verb) for verb in ("subscribe:token", "unsubscribe:token", "get:price", "get:trades")),
        *(_bound(_of_network, verb) for verb in ("subscribe:network", "unsubscribe:network")),
        ("subscribe", _subscribe),
        *(_bound(_of_contract, verb) for verb in ("unsubscribe", "getHistory", "getStats")),
        *(_bound(_of_room, verb) for verb in ("join_room", "leave_room")),
        ("authenticate", _authenticate),
        ("ping", lambda _, ack: Ping(Request("moonx-gateway/ping", (), ack))),
    ]
)
"""Event name → what reads it."""

MODELS: Final[dict[str, type[BaseModel] | None]] = {
    **dict.fromkeys(("subscribe:token", "unsubscribe:token", "get:price", "get:trades"), _Token),
    **dict.fromkeys(("subscribe:network", "unsubscribe:network"), _Network),
    **dict.fromkeys(("subscribe", "unsubscribe", "getHistory", "getStats"), _Contract),
    "subscribe types": _Types,
    **dict.fromkeys(("join_room", "leave_room"), _Room),
    "authenticate": _Fresh,
    "ping": None,
}
"""Event name (of `subscribe`, which two servers had, in both meanings) → what its argument must be."""
