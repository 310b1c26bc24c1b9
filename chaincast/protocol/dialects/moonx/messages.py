"""Messages of a `moonx` client: their models, and the decoder from bytes to commands.

It is apart from the encoder, because functions that read no messages of clients must not import pydantic.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.model.events import Kind
from chaincast.model.topics import ANY, OWN, Topic
from chaincast.model.validation_errors import quote_value
from chaincast.protocol.commands import Authenticate, Command, Ping, Subscribe, UnsubscribeFamilies
from chaincast.protocol.dialects.json_input import parse_object
from chaincast.protocol.dialects.validation import validate_message

_TYPES: Final = ("authenticate", "subscribe", "unsubscribe", "ping")

_ALL_PRICES: Final = (Topic("price", ANY), Topic("prices", ANY, ANY))
_ALL_TRADES: Final = (Topic("trade", ANY), Topic("trades", ANY, ANY))
_FAMILIES: Final = {
    "prices": frozenset({"price", "prices"}),
    "orders": frozenset({"orders"}),
    "portfolio": frozenset({"portfolio"}),
    "trades": frozenset({"trade", "trades", "user"}),
}
"""Channel → families of its topics."""


class _Envelope(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    id: Annotated[StrictStr, Field(max_length=128)] | StrictInt | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class _Token(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    token: Annotated[StrictStr, Field(min_length=1)]


class _Channel(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    channel: StrictStr


MODELS: Final[dict[str, type[BaseModel] | None]] = {
    "authenticate": _Token,
    "subscribe": _Channel,
    "unsubscribe": _Channel,
    "ping": None,
}
"""Message type → model of its `data`; None if there is none."""


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """Return the client's command. Raises `RequestError` for invalid bytes, and nothing else."""
    document = parse_object(body, max_bytes)
    type_ = document.get("type")
    if not isinstance(type_, str) or type_ not in _TYPES:
        raise RequestError(Code.UNKNOWN_TYPE, f"unknown type {quote_value(type_)}; known: {', '.join(_TYPES)}")
    envelope = validate_message(_Envelope, document, type_)
    message_id = "" if envelope.id is None else str(envelope.id)
    request = ReplyContext(type_, (message_id, ""))
    try:
        match type_:
            case "ping":
                return Ping(request)
            case "authenticate":
                return Authenticate(validate_message(_Token, envelope.data, "authenticate data").token, request)
        channel = validate_message(_Channel, envelope.data, f"{type_} data").channel
        if channel not in _FAMILIES:
            known = ", ".join(_FAMILIES)
            raise RequestError(Code.UNKNOWN_TOPIC, f"unknown channel {quote_value(channel)}; known: {known}")
    except RequestError as error:
        raise error.with_request_id(request) from None
    request = ReplyContext(type_, (message_id, channel))
    if type_ == "unsubscribe":
        return UnsubscribeFamilies(_FAMILIES[channel], request)
    return _subscribe(channel, request)


def _subscribe(channel: str, request: ReplyContext) -> Subscribe:
    match channel:
        case "trades":  # an authenticated user receives only their own trades, an anonymous one those of all users
            own = (Topic("user", OWN),)
            return Subscribe(_ALL_TRADES, (Kind.TRADE,), request_id=request, own_topics=own, snapshot_families=())
        case "prices":
            return Subscribe(_ALL_PRICES, request_id=request, snapshot_families=())
    return Subscribe((Topic(channel, OWN),), request_id=request, snapshot_families=())
