"""What a `chaincast.v1` client may send: its messages as models, and bytes decoded to commands.

Apart from the encoder, because only functions that read clients' messages should pay for importing pydantic.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, Union

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, TypeAdapter

from chaincast.errors import ClientError, Code, RequestId
from chaincast.model.cursors import CURSOR_DIGITS, POSITION
from chaincast.model.topics import Topic
from chaincast.protocol.commands import (
    Authenticate,
    Command,
    GetHistory,
    GetPrice,
    GetStats,
    Ping,
    Subscribe,
    Unsubscribe,
)
from chaincast.protocol.dialects.json_input import parse_object
from chaincast.protocol.dialects.validation import quote_value, validate_message

WireId: TypeAlias = Annotated[Union[StrictStr, StrictInt, None], Field(union_mode="left_to_right")]
WireTopics: TypeAlias = Annotated[list[Annotated[StrictStr, Field(max_length=1024)]], Field(min_length=1)]
WireKinds: TypeAlias = Annotated[
    list[Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}(:[^\s:]{1,128})?$")]], Field(max_length=20)
]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    id: WireId = None


class SubscribeMessage(_Message):
    """Listen to topics, with `kinds` to events of these kinds only; with `since`, also to what came after that cursor
    (of one source, or per source). `cursors`: the answer says from where to resume, should the connection be lost
    before anything came."""

    type: Literal["subscribe"]
    topics: WireTopics
    kinds: WireKinds = Field(default_factory=list)
    since: Union[StrictStr, dict[StrictStr, StrictStr], None] = None
    cursors: StrictBool = False


class UnsubscribeMessage(_Message):
    """Stop listening to topics."""

    type: Literal["unsubscribe"]
    topics: WireTopics


class PingMessage(_Message):
    """Answered by `pong`; also keeps the connection open (API Gateway closes it after ten idle minutes)."""

    type: Literal["ping"]


class AuthenticateMessage(_Message):
    """Whose the connection is, by a token; private topics are for their own user."""

    type: Literal["authenticate"]
    token: Annotated[StrictStr, Field(min_length=1)]


class GetMessage(_Message):
    """What is known now, the `price` of a `token` or the `stats` of a `token` or `contract`; or the newest events of a
    kind that is kept: `trades` and `prices` of a `token`, `history` of a `contract` (of its `events` by name only, if
    any are named), new `tokens`, `alerts` of a type; `before` goes on where an answer ended."""

    type: Literal["get"]
    what: Literal["price", "stats", "trades", "prices", "history", "tokens", "alerts"]
    network: Annotated[StrictStr, Field(max_length=64)]
    token: Annotated[StrictStr, Field(max_length=256)] = ""
    contract: Annotated[StrictStr, Field(max_length=256)] = ""
    alert: Annotated[StrictStr, Field(max_length=64)] = ""
    limit: Annotated[StrictInt, Field(ge=1, le=100)] = 20
    events: Annotated[list[Annotated[StrictStr, Field(max_length=128)]], Field(max_length=20)] = Field(
        default_factory=list
    )
    before: Annotated[StrictStr, Field(pattern=POSITION)] | None = None


ClientMessage: TypeAlias = Annotated[
    Union[SubscribeMessage, UnsubscribeMessage, PingMessage, AuthenticateMessage, GetMessage],
    Field(discriminator="type"),
]
_AnyMessage: TypeAlias = SubscribeMessage | UnsubscribeMessage | PingMessage | AuthenticateMessage | GetMessage
_client_message: TypeAdapter[_AnyMessage] = TypeAdapter(ClientMessage)
_TYPES = ("subscribe", "unsubscribe", "ping", "authenticate", "get")


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """The client's command. Raises `ClientError`, and nothing else, whatever the bytes are."""
    document = parse_object(body, max_bytes)
    request_id = _request_id(document)
    try:
        return _command(document, max_topics, request_id)
    except ClientError as error:
        raise error.with_request_id(request_id) from None


def _request_id(document: dict[str, object]) -> RequestId:
    """The message's `id` where it is usable, so that even the error about a bad message can be matched to it."""
    value = document.get("id")
    if isinstance(value, str) and len(value) <= 128:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -(2**53) < value < 2**53:
        return value
    if value is None:
        return None
    raise ClientError(
        Code.BAD_MESSAGE, f"id {quote_value(value)} must be a string of at most 128 characters or an integer"
    )


def _command(document: dict[str, object], max_topics: int, request_id: RequestId) -> Command:
    message = _validated(document)
    match message:
        case PingMessage():
            return Ping(request_id)
        case AuthenticateMessage(token=token):
            return Authenticate(token, request_id)
        case UnsubscribeMessage(topics=topics):
            return Unsubscribe(_topics(topics, max_topics), request_id)
        case GetMessage():
            return _get(message, request_id)
        case SubscribeMessage(topics=topics, kinds=kinds, since=since, cursors=cursors):
            parsed = _topics(topics, max_topics)
            after = None if since is None else _since(since, parsed)
            return Subscribe(parsed, tuple(kinds), after, cursors, request_id)


def _validated(document: dict[str, object]) -> _AnyMessage:
    type_ = document.get("type")
    if not isinstance(type_, str):
        raise ClientError(Code.BAD_MESSAGE, f"type {quote_value(type_)} must be one of {', '.join(_TYPES)}")
    if type_ not in _TYPES:
        raise ClientError(Code.UNKNOWN_TYPE, f"unknown type {quote_value(type_)}; known: {', '.join(_TYPES)}")
    return validate_message(_client_message, document, type_, skip=1)


_ABOUT = {
    "price": ("prices", ("token",)),
    "stats": ("", ("token", "contract")),
    "trades": ("trades", ("token",)),
    "prices": ("prices", ("token",)),
    "history": ("contract", ("contract",)),
    "tokens": ("tokens", ()),
    "alerts": ("alerts", ("alert",)),
}
"""What is asked for → the family of topics it is about, and the members of which one says of what."""


def _get(message: GetMessage, request_id: RequestId) -> Command:
    family, members = _ABOUT[message.what]
    given = [(member, key) for member in members if (key := getattr(message, member))]
    if len(given) != bool(members):
        which = " or ".join(members)
        wrong = "is missing" if not given else "are both given"
        raise ClientError(Code.BAD_MESSAGE, f"get {message.what}: {which} {wrong}: of which {which}?")
    about, key = given[0] if given else ("", "")
    if "*" in (message.network, key):
        named = f"the network and the {about}" if about else "the network"
        raise ClientError(Code.BAD_TOPIC, f"get {message.what}: '*' is not allowed: name {named}")
    if message.what == "alerts":
        network = Topic.parse(f"network:{message.network}")
        Topic.parse(f"alerts:{key}")
        return GetHistory("alerts", network, message.limit, (), message.before, request_id, alert=key.lower())
    topic = Topic.parse(":".join(part for part in (family or about, message.network, key) if part))
    if message.what == "price":
        return GetPrice(topic.scope, topic.key, request_id)
    if message.what == "stats":
        return GetStats(topic, request_id)
    return GetHistory(message.what, topic, message.limit, tuple(message.events), message.before, request_id)


def _topics(texts: list[str], max_topics: int) -> tuple[Topic, ...]:
    if len(texts) > max_topics:
        raise ClientError(Code.TOO_MANY_TOPICS, f"{len(texts)} topics in one message; at most {max_topics}")
    return tuple(dict.fromkeys(Topic.parse(text) for text in texts))


def _since(since: str | dict[str, str], topics: tuple[Topic, ...]) -> dict[str, str]:
    """Cursors per source. A bare cursor is that of the one network the topics are about."""
    if isinstance(since, str):
        networks = {topic.network for topic in topics}
        network = networks.pop() if len(networks) == 1 else None
        if network is None:
            raise ClientError(
                Code.BAD_CURSOR,
                f"since {quote_value(since)} is one cursor, but the topics are not of one network; "
                'write {"network": "cursor", …}',
            )
        since = {network: since}
    for source, cursor in since.items():
        if len(cursor) != CURSOR_DIGITS or not (cursor.isascii() and cursor.isdigit()):
            raise ClientError(
                Code.BAD_CURSOR,
                f"since {quote_value(cursor)} of {quote_value(source)} is no cursor; "
                f"a cursor is {CURSOR_DIGITS} digits, as `events` carries it",
            )
    return since


MODELS: dict[str, type[BaseModel]] = {
    "subscribe": SubscribeMessage,
    "unsubscribe": UnsubscribeMessage,
    "ping": PingMessage,
    "authenticate": AuthenticateMessage,
    "get": GetMessage,
}
"""Message type → what it must be."""
