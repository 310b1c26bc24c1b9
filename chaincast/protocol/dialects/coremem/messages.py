"""What a `coremem` client may send.

Apart from the encoder, because only functions that read clients' messages should pay for importing pydantic.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, TypeAdapter

from chaincast.errors import ClientError, Code, Request
from chaincast.model.topics import ANY, Topic
from chaincast.protocol.commands import Authenticate, Command, Ping, Subscribe, Unsubscribe, UnsubscribeFamilies
from chaincast.protocol.dialects.json_input import parse_object
from chaincast.protocol.dialects.validation import quote_value, validate_message

RECENT: Final = 20
"""New tokens that `includeRecent` brings."""

CHANNELS: Final = ("prices", "tokens", "trades", "alerts")
_TYPES: Final = ("subscribe", "unsubscribe", "ping", "authenticate")

_Names = Annotated[list[Annotated[StrictStr, Field(max_length=1024)]], Field(max_length=1000)]


class _Params(BaseModel):
    """Which tokens or alert types; all, if none are named."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    tokens: _Names = Field(default_factory=list)
    types: _Names = Field(default_factory=list)
    includeRecent: StrictBool = False


class _ChannelMessage(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    channel: StrictStr
    params: _Params = _Params()


class _TokenMessage(BaseModel):
    """Not a word of the server that spoke this before; tokens of its clients may end, too."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    token: Annotated[StrictStr, Field(min_length=1)]


_token: TypeAdapter[_TokenMessage] = TypeAdapter(_TokenMessage)
_message: TypeAdapter[_ChannelMessage] = TypeAdapter(_ChannelMessage)


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """The client's command. Raises `ClientError`, and nothing else, whatever the bytes are."""
    document = parse_object(body, max_bytes)
    type_ = document.get("type")
    if type_ == "ping":
        return Ping()
    if type_ == "authenticate":
        return Authenticate(validate_message(_token, document, "authenticate").token)
    if type_ not in _TYPES:
        raise ClientError(Code.UNKNOWN_TYPE, f"unknown type {quote_value(type_)}; known: {', '.join(_TYPES)}")
    message = validate_message(_message, document, str(type_))
    channel = message.channel
    if channel not in CHANNELS:
        raise ClientError(Code.UNKNOWN_TOPIC, f"unknown channel {quote_value(channel)}; known: {', '.join(CHANNELS)}")
    request = Request(str(type_), (channel,))
    named = _named(channel, message.params)
    try:
        if type_ == "unsubscribe" and not named:
            return UnsubscribeFamilies(frozenset({channel}), request)
        topics = _topics(channel, named, max_topics)
        if type_ == "unsubscribe":
            return Unsubscribe(topics, request)
    except ClientError as error:
        raise error.with_request_id(request) from None
    wants_recent = channel == "tokens" and message.params.includeRecent
    return Subscribe(topics, request_id=request, current=("prices",), recent=RECENT if wants_recent else 0)


def _named(channel: str, params: _Params) -> list[str]:
    if channel == "tokens":
        return []
    return params.types if channel == "alerts" else params.tokens


def _topics(channel: str, named: list[str], max_topics: int) -> tuple[Topic, ...]:
    if len(named) > max_topics:
        raise ClientError(Code.TOO_MANY_TOPICS, f"{len(named)} names in one message; at most {max_topics}")
    if channel == "tokens":
        return (Topic("tokens", ANY),)
    if channel == "alerts":
        return tuple(dict.fromkeys(Topic.parse(f"alerts:{type_}") for type_ in named or [ANY]))
    return tuple(dict.fromkeys(Topic.parse(f"{channel}:{ANY}:{token}") for token in named or [ANY]))


MODELS: Final[dict[str, type[BaseModel] | None]] = {
    "subscribe": _ChannelMessage,
    "unsubscribe": _ChannelMessage,
    "authenticate": _TokenMessage,
    "ping": None,
}
"""Message type → what it must be, beside its `type`."""
