"""What a `moonx` client may send.

Apart from the encoder, because only functions that read clients' messages should pay for importing pydantic.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, TypeAdapter

from chaincast.errors import ClientError, Code, Request
from chaincast.model.events import Kind
from chaincast.model.topics import ANY, OWN, Topic
from chaincast.protocol.commands import Authenticate, Command, Ping, Subscribe, UnsubscribeFamilies
from chaincast.protocol.dialects.json_input import parse_object
from chaincast.protocol.dialects.validation import quote_value, validate_message

_TYPES: Final = ("authenticate", "subscribe", "unsubscribe", "ping")

_TRADES = (Topic("trade", ANY), Topic("trades", ANY, ANY))
_FAMILIES: Final = {
    "prices": frozenset({"price", "prices"}),
    "orders": frozenset({"orders"}),
    "portfolio": frozenset({"portfolio"}),
    "trades": frozenset({"trade", "trades", "user"}),
}
"""Channel → the families of its topics."""


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


_envelope: TypeAdapter[_Envelope] = TypeAdapter(_Envelope)
_token: TypeAdapter[_Token] = TypeAdapter(_Token)
_channel: TypeAdapter[_Channel] = TypeAdapter(_Channel)


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """The client's command. Raises `ClientError`, and nothing else, whatever the bytes are."""
    document = parse_object(body, max_bytes)
    type_ = document.get("type")
    if not isinstance(type_, str) or type_ not in _TYPES:
        raise ClientError(Code.UNKNOWN_TYPE, f"unknown type {quote_value(type_)}; known: {', '.join(_TYPES)}")
    envelope = validate_message(_envelope, document, type_)
    request = Request(type_, ("" if envelope.id is None else str(envelope.id), ""))
    try:
        if type_ == "ping":
            return Ping(request)
        if type_ == "authenticate":
            return Authenticate(validate_message(_token, envelope.data, "authenticate: data").token, request)
        channel = validate_message(_channel, envelope.data, f"{type_}: data").channel
        if channel not in _FAMILIES:
            raise ClientError(
                Code.UNKNOWN_TOPIC, f"unknown channel {quote_value(channel)}; known: {', '.join(_FAMILIES)}"
            )
    except ClientError as error:
        raise error.with_request_id(request) from None
    request = Request(type_, (request.about[0], channel))
    if type_ == "unsubscribe":
        return UnsubscribeFamilies(_FAMILIES[channel], request)
    if channel == "trades":  # his own, or where nobody has said who he is: everybody's
        return Subscribe(_TRADES, (Kind.TRADE,), request_id=request, own=(Topic("user", OWN),), current=())
    topics = (Topic("price", ANY), Topic("prices", ANY, ANY)) if channel == "prices" else (Topic(channel, OWN),)
    return Subscribe(topics, request_id=request, current=())


MODELS: Final[dict[str, type[BaseModel] | None]] = {
    "authenticate": _Token,
    "subscribe": _Channel,
    "unsubscribe": _Channel,
    "ping": None,
}
"""Message type → what its `data` must be."""
