"""Messages of a `coremem` client: their models, and the decoder from bytes to commands.

It is apart from the encoder, because functions that read no messages of clients must not import pydantic.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from chaincast.errors import Code, ReplyContext, RequestError
from chaincast.model.topics import ANY, Topic
from chaincast.model.validation_errors import quote_value
from chaincast.protocol.commands import Authenticate, Command, Ping, Subscribe, Unsubscribe, UnsubscribeFamilies
from chaincast.protocol.dialects.json_input import parse_object
from chaincast.protocol.dialects.validation import validate_message

RECENT_TOKENS: Final = 20
"""Number of new tokens that a reply carries if the client sets `includeRecent`."""

CHANNELS: Final = ("prices", "tokens", "trades", "alerts")
_TYPES: Final = ("subscribe", "unsubscribe", "ping", "authenticate")

_Names = Annotated[list[Annotated[StrictStr, Field(max_length=1024)]], Field(max_length=1000)]


class _Params(BaseModel):
    """The tokens or alert types to receive; all, if the list is empty."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    tokens: _Names = Field(default_factory=list)
    types: _Names = Field(default_factory=list)
    includeRecent: StrictBool = False


class _ChannelMessage(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    channel: StrictStr
    params: _Params = _Params()


class _TokenMessage(BaseModel):
    """Authenticate with a fresh token. The original server did not have this message."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    token: Annotated[StrictStr, Field(min_length=1)]


MODELS: Final[dict[str, type[BaseModel] | None]] = {
    "subscribe": _ChannelMessage,
    "unsubscribe": _ChannelMessage,
    "authenticate": _TokenMessage,
    "ping": None,
}
"""Message type → model of its other members; None if there are none."""


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """Return the client's command. Raises `RequestError` for invalid bytes, and nothing else."""
    document = parse_object(body, max_bytes)
    match document.get("type"):
        case "ping":
            return Ping()
        case "authenticate":
            return Authenticate(validate_message(_TokenMessage, document, "authenticate").token)
        case "subscribe" | "unsubscribe" as verb:
            return _channel_command(verb, document, max_topics)
        case type_:
            raise RequestError(Code.UNKNOWN_TYPE, f"unknown type {quote_value(type_)}; known: {', '.join(_TYPES)}")


def _channel_command(verb: str, document: dict[str, object], max_topics: int) -> Command:
    message = validate_message(_ChannelMessage, document, verb)
    channel = message.channel
    if channel not in CHANNELS:
        raise RequestError(Code.UNKNOWN_TOPIC, f"unknown channel {quote_value(channel)}; known: {', '.join(CHANNELS)}")
    request = ReplyContext(verb, (channel,))
    names = _names(channel, message.params)
    if verb == "unsubscribe" and not names:
        return UnsubscribeFamilies(frozenset({channel}), request)
    try:
        topics = _topics(channel, names, max_topics)
    except RequestError as error:
        raise error.with_request_id(request) from None
    if verb == "unsubscribe":
        return Unsubscribe(topics, request)
    recent_events = RECENT_TOKENS if channel == "tokens" and message.params.includeRecent else 0
    return Subscribe(topics, request_id=request, snapshot_families=("prices",), recent_events=recent_events)


def _names(channel: str, params: _Params) -> list[str]:
    """Return the tokens or alert types that the message names; the channel `tokens` has no such filter."""
    if channel == "tokens":
        return []
    return params.types if channel == "alerts" else params.tokens


def _topics(channel: str, names: list[str], max_topics: int) -> tuple[Topic, ...]:
    """Return the topics of a channel without duplicates. Raises `RequestError`."""
    if len(names) > max_topics:
        raise RequestError(Code.TOO_MANY_TOPICS, f"{len(names)} names in one message; at most {max_topics}")
    if channel == "tokens":
        return (Topic("tokens", ANY),)
    prefix = "alerts" if channel == "alerts" else f"{channel}:{ANY}"
    return tuple(dict.fromkeys(Topic.parse(f"{prefix}:{name}") for name in names or [ANY]))
