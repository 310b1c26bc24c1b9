"""Messages of a Socket.IO client: packets, the verbs of three vocabularies as models, and the decoder to commands.

It is apart from the encoder, because functions that read no messages of clients must not import pydantic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from chaincast.errors import Code, ProtocolViolation, ReplyContext, RequestError
from chaincast.model.events import Json, Kind
from chaincast.model.topics import ANY, OWN, Topic
from chaincast.model.validation_errors import quote_value
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
from chaincast.protocol.dialects.socketio import engine_io, packets
from chaincast.protocol.dialects.socketio.kaspump import to_network
from chaincast.protocol.dialects.validation import validate_message

_MAX_PROBE_LENGTH: Final = 128
"""Maximum number of characters of a client's ping that the pong repeats."""

_Text: TypeAlias = Annotated[StrictStr, Field(min_length=1, max_length=1024)]
M = TypeVar("M", bound=BaseModel)


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """Return the client's command.

    Raises `RequestError` for invalid bytes, and nothing else; `ProtocolViolation` if the connection must be closed.
    """
    text = parse_text(body, max_bytes)
    match text[:1]:
        case engine_io.MESSAGE:
            return _packet_command(packets.parse_packet(text[1:]))
        case engine_io.PONG | engine_io.UPGRADE | engine_io.NOOP:
            return KeepAlive()
        case engine_io.PING:
            return Ping(ReplyContext("probe", (text[1 : 1 + _MAX_PROBE_LENGTH],)))
        case engine_io.CLOSE:
            return CloseConnection()
        case engine_io.BINARY:
            raise RequestError(Code.UNSUPPORTED, "binary messages are not supported: send text")
    raise ProtocolViolation(Code.BAD_MESSAGE, f"message {text[:40]!r} is not an Engine.IO packet")


def _packet_command(packet: packets.Packet) -> Command:
    is_main = packet.namespace == packets.MAIN
    match packet.type:
        case packets.CONNECT:
            request = ReplyContext("connect", (packet.namespace,))
            if not is_main:
                raise RequestError(Code.UNKNOWN_ROUTE, "Invalid namespace", request)
            token = packet.payload.get("token") if isinstance(packet.payload, dict) else None
            return Join(token if isinstance(token, str) else "", request)
        case packets.DISCONNECT:
            return Leave() if is_main else KeepAlive()
        case packets.ACK if is_main:
            return KeepAlive()
        case packets.EVENT | packets.BINARY_EVENT if is_main:
            assert isinstance(packet.payload, list)
            name, *arguments = packet.payload
            if packet.type == packets.BINARY_EVENT:
                message = f"event {quote_value(name)} is binary: send text only"
                raise RequestError(Code.UNSUPPORTED, message, ReplyContext("", (), packet.ack))
            return _event_command(name, arguments[0] if arguments else {}, packet.ack)
    raise ProtocolViolation(
        Code.BAD_MESSAGE, f"packet of type {packet.type} for namespace {packet.namespace[:40]!r} is not allowed"
    )


def _event_command(name: Json, argument: Json, ack: int | None) -> Command:
    decode_verb = _VERBS.get(name) if isinstance(name, str) else None
    if decode_verb is None:
        message = f"unknown event {quote_value(name)}; known: {', '.join(_VERBS)}"
        raise RequestError(Code.UNKNOWN_TYPE, message, ReplyContext("", (), ack))
    return decode_verb(argument, ack)


# Models of the arguments


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


class _FreshToken(_Model):
    token: Annotated[StrictStr, Field(min_length=1)]


def _validated(model: type[M], argument: Json, request: ReplyContext) -> M:
    """Return the argument of a verb. Raises `RequestError` that answers the request."""
    try:
        return validate_message(model, argument, request.verb.rpartition("/")[2], "argument")
    except RequestError as error:
        raise error.with_request_id(request) from None


def _topic(text: str, request: ReplyContext) -> Topic:
    """Return the topic. Raises `RequestError` that answers the request."""
    try:
        return Topic.parse(text)
    except RequestError as error:
        raise error.with_request_id(request) from None


def _subscription(
    verb: str, topic: Topic, request: ReplyContext, vocabulary: str, kinds: tuple[str, ...] = ()
) -> Command:
    if verb.startswith("unsubscribe"):
        return Unsubscribe((topic,), request)
    return Subscribe((topic,), kinds, request_id=request, vocabulary=vocabulary)


# The verbs of kaspump


def _token_command(verb: str, argument: Json, ack: int | None) -> Command:
    request = ReplyContext(f"kaspump/{verb}", (), ack)
    token = _validated(_Token, argument, request)
    network = ANY if token.network is None else to_network(token.network)
    topic = _topic(f"token:{network}:{token.tokenAddress}", request)
    if verb == "get:price":
        about = (token.tokenAddress, token.network or "")
        return GetPrice(topic.scope, topic.key, ReplyContext(request.verb, about, ack))
    if verb == "get:trades":
        return GetHistory("trades", Topic("trades", topic.scope, topic.key), token.limit, request_id=request)
    room = f"token:{token.network}:{token.tokenAddress}" if token.network else f"token:{token.tokenAddress}"
    return _subscription(verb, topic, ReplyContext(request.verb, (room,), ack), "kaspump")


def _network_command(verb: str, argument: Json, ack: int | None) -> Command:
    request = ReplyContext(f"kaspump/{verb}", (), ack)
    network = _validated(_Network, argument, request).network
    topic = _topic(f"network:{to_network(network)}", request)
    return _subscription(verb, topic, ReplyContext(request.verb, (f"network:{network}",), ack), "kaspump")


# The verbs of adstack


def _contract_command(verb: str, argument: Json, ack: int | None) -> Command:
    request = ReplyContext(f"adstack/{verb}", (), ack)
    contract = _validated(_Contract, argument, request)
    topic = _topic(f"contract:{ANY}:{contract.contractId}", request)
    request = ReplyContext(request.verb, (contract.contractId, *contract.eventTypes), ack)
    if verb == "getHistory":
        return GetHistory("history", topic, contract.limit, tuple(contract.eventTypes), request_id=request)
    if verb == "getStats":
        return GetStats(topic, request)
    # An event type is either a kind of Chaincast or the name of an event in the contract's ABI.
    kinds = [kind for type_ in contract.eventTypes for kind in (type_, f"{Kind.CONTRACT_EVENT}:{type_}")]
    return _subscription(verb, topic, request, "adstack", tuple(kinds))


# The verbs of moonx-gateway

_PRICES, _BOOKS, _TRADES = (Topic(family, ANY) for family in ("price", "orderbook", "trade"))
_PORTFOLIO, _ORDERS = (Topic(family, OWN) for family in ("portfolio", "orders"))
_TYPE_TOPICS: Final[dict[str, Topic | None]] = {
    **dict.fromkeys(("price_updates", "price_update", "prices"), _PRICES),
    **dict.fromkeys(("order_book_updates", "order_book_update", "order_books"), _BOOKS),
    **dict.fromkeys(("trades", "trade_notifications", "trade_notification"), _TRADES),
    **dict.fromkeys(("portfolio_updates", "portfolio_update", "portfolio"), _PORTFOLIO),
    **dict.fromkeys(("order_updates", "order_update", "orders"), _ORDERS),
    **dict.fromkeys(("system_alerts", "system_alert"), None),  # every connection receives announcements anyway
}
"""Type in `subscribe` → topic; None if no subscription is needed."""

_ROOM_FAMILIES: Final = ("price", "orderbook", "trade", "user", "portfolio", "orders", "events", "system")


def _types_command(argument: Json, ack: int | None) -> Command:
    request = ReplyContext("moonx-gateway/subscribe", (), ack)
    types = _validated(_Types, argument, request).types
    if unknown := [type_ for type_ in types if type_ not in _TYPE_TOPICS]:
        known = ", ".join(_TYPE_TOPICS)
        raise RequestError(Code.UNKNOWN_TOPIC, f"unknown type {quote_value(unknown[0])}; known: {known}", request)
    topics = dict.fromkeys(topic for type_ in types if (topic := _TYPE_TOPICS[type_]) is not None)
    request = ReplyContext(request.verb, tuple(types), ack)
    return Subscribe(tuple(topics), request_id=request, vocabulary="moonx-gateway")


def _room_command(verb: str, argument: Json, ack: int | None) -> Command:
    request = ReplyContext(f"moonx-gateway/{verb}", (), ack)
    room = _validated(_Room, argument, request).room
    topic = _topic(room, request)
    if topic.family not in _ROOM_FAMILIES:
        known = ", ".join(_ROOM_FAMILIES)
        raise RequestError(Code.UNKNOWN_TOPIC, f"unknown room {quote_value(room)}; known: {known}", request)
    request = ReplyContext(request.verb, (room,), ack)
    topics = (topic,) if topic.family != "system" else ()  # every connection receives announcements anyway
    if verb == "leave_room":
        return Unsubscribe(topics, request)
    return Subscribe(topics, request_id=request, vocabulary="moonx-gateway")


# The verbs that are not of one vocabulary


def _subscribe_command(argument: Json, ack: int | None) -> Command:
    """Decode the verb that two vocabularies have; the members of the argument decide which one is meant."""
    if isinstance(argument, dict) and "types" in argument and "contractId" not in argument:
        return _types_command(argument, ack)
    return _contract_command("subscribe", argument, ack)


def _authenticate_command(argument: Json, ack: int | None) -> Command:
    """Decode a verb that the original servers did not have: a fresh token, before the first one expires."""
    request = ReplyContext("authenticate", (), ack)
    return Authenticate(_validated(_FreshToken, argument, request).token, request)


_VerbDecoder: TypeAlias = Callable[[Json, int | None], Command]


def _for_verb(decode_verb: Callable[[str, Json, int | None], Command], verb: str) -> tuple[str, _VerbDecoder]:
    return verb, lambda argument, ack: decode_verb(verb, argument, ack)


_VERBS: Final[dict[str, _VerbDecoder]] = dict(
    [
        *(_for_verb(_token_command, v) for v in ("subscribe:token", "unsubscribe:token", "get:price", "get:trades")),
        *(_for_verb(_network_command, v) for v in ("subscribe:network", "unsubscribe:network")),
        ("subscribe", _subscribe_command),
        *(_for_verb(_contract_command, v) for v in ("unsubscribe", "getHistory", "getStats")),
        *(_for_verb(_room_command, v) for v in ("join_room", "leave_room")),
        ("authenticate", _authenticate_command),
        ("ping", lambda _, ack: Ping(ReplyContext("moonx-gateway/ping", (), ack))),
    ]
)
"""Name of a client's event → function that decodes its argument."""

MODELS: Final[dict[str, type[BaseModel] | None]] = {
    **dict.fromkeys(("subscribe:token", "unsubscribe:token", "get:price", "get:trades"), _Token),
    **dict.fromkeys(("subscribe:network", "unsubscribe:network"), _Network),
    **dict.fromkeys(("subscribe", "unsubscribe", "getHistory", "getStats"), _Contract),
    "subscribe types": _Types,
    **dict.fromkeys(("join_room", "leave_room"), _Room),
    "authenticate": _FreshToken,
    "ping": None,
}
"""Name of a client's event → model of its argument; `subscribe` has two, one for each vocabulary that has the verb."""
