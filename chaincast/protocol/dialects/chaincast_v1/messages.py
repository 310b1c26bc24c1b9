"""Messages of a `chaincast.v1` client: their models, and the decoder from bytes to commands.

It is apart from the encoder, because functions that read no messages of clients must not import pydantic.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias, Union

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from chaincast.errors import Code, RequestError, RequestId
from chaincast.model.cursors import CURSOR_DIGITS, POSITION
from chaincast.model.topics import ANY, Topic
from chaincast.model.validation_errors import quote_value
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
from chaincast.protocol.dialects.validation import validate_message

_MAX_ID_LENGTH: Final = 128
_MAX_SAFE_INTEGER: Final = 2**53
"""Integers below this, in either direction, survive a client that reads numbers as doubles (RFC 8259, 6)."""

WireId: TypeAlias = Annotated[Union[StrictStr, StrictInt, None], Field(union_mode="left_to_right")]
WireTopics: TypeAlias = Annotated[list[Annotated[StrictStr, Field(max_length=1024)]], Field(min_length=1)]
WireKinds: TypeAlias = Annotated[
    list[Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}(:[^\s:]{1,128})?$")]], Field(max_length=20)
]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    id: WireId = None


class SubscribeMessage(_Message):
    """Subscribe to topics.

    `kinds` limits the events to these kinds. `since` replays the events after a cursor (one cursor, or one per source).
    With `cursors`, the reply carries the cursors to resume from if the connection is lost before the first event.
    """

    type: Literal["subscribe"]
    topics: WireTopics
    kinds: WireKinds = Field(default_factory=list)
    since: Union[StrictStr, dict[StrictStr, StrictStr], None] = None
    cursors: StrictBool = False


class UnsubscribeMessage(_Message):
    """Unsubscribe from topics."""

    type: Literal["unsubscribe"]
    topics: WireTopics


class PingMessage(_Message):
    """Ask for a `pong`. This also keeps the connection open, which API Gateway closes after ten idle minutes."""

    type: Literal["ping"]


class AuthenticateMessage(_Message):
    """Authenticate the connection with a token. Private topics require the user that they name."""

    type: Literal["authenticate"]
    token: Annotated[StrictStr, Field(min_length=1)]


class GetMessage(_Message):
    """Get current values or the newest events of a history.

    Current values are the `price` of a `token` and the `stats` of a `token` or `contract`. Histories are `trades` and
    `prices` of a `token`, `history` of a `contract` (`events` selects some by name), new `tokens`, and `alerts` of a
    type. `before` continues where an earlier reply ended.
    """

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


_AnyMessage: TypeAlias = SubscribeMessage | UnsubscribeMessage | PingMessage | AuthenticateMessage | GetMessage

MODELS: Final[Mapping[str, type[_AnyMessage]]] = {
    "subscribe": SubscribeMessage,
    "unsubscribe": UnsubscribeMessage,
    "ping": PingMessage,
    "authenticate": AuthenticateMessage,
    "get": GetMessage,
}
"""Message type → model of the message."""

_GET_TOPICS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "price": ("prices", ("token",)),
    "stats": ("", ("token", "contract")),
    "trades": ("trades", ("token",)),
    "prices": ("prices", ("token",)),
    "history": ("contract", ("contract",)),
    "tokens": ("tokens", ()),
    "alerts": ("alerts", ("alert",)),
}
"""Value of `what` → topic family to read, and the members of which exactly one must be given.

The family is empty if it is the name of the given member.
"""


def decode(body: bytes, max_bytes: int, max_topics: int) -> Command:
    """Return the client's command. Raises `RequestError` for invalid bytes, and nothing else."""
    document = parse_object(body, max_bytes)
    request_id = _request_id(document)
    try:
        return _command(document, max_topics, request_id)
    except RequestError as error:
        raise error.with_request_id(request_id) from None


def _request_id(document: dict[str, object]) -> RequestId:
    """Return the message's `id`, which is read first, so that the error about an invalid message carries it, too."""
    value = document.get("id")
    if value is None or (isinstance(value, str) and len(value) <= _MAX_ID_LENGTH):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and -_MAX_SAFE_INTEGER < value < _MAX_SAFE_INTEGER:
        return value
    raise RequestError(
        Code.BAD_MESSAGE,
        f"id {quote_value(value)} must be a string of at most {_MAX_ID_LENGTH} characters or an integer",
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
        case SubscribeMessage(topics=topics, kinds=kinds, since=since, cursors=with_cursors):
            parsed = _topics(topics, max_topics)
            cursors = None if since is None else _since(since, parsed)
            return Subscribe(parsed, tuple(kinds), cursors, with_cursors, request_id)


def _validated(document: dict[str, object]) -> _AnyMessage:
    type_ = document.get("type")
    known = ", ".join(MODELS)
    if not isinstance(type_, str):
        raise RequestError(Code.BAD_MESSAGE, f"type {quote_value(type_)} must be one of {known}")
    if type_ not in MODELS:
        raise RequestError(Code.UNKNOWN_TYPE, f"unknown type {quote_value(type_)}; known: {known}")
    return validate_message(MODELS[type_], document, type_)


def _get(message: GetMessage, request_id: RequestId) -> Command:
    family, members = _GET_TOPICS[message.what]
    given = [(member, value) for member in members if (value := getattr(message, member))]
    if members and len(given) != 1:
        required = " or ".join(members)
        fault = "is missing: add it" if not given else "are both given: remove one of them"
        raise RequestError(Code.BAD_MESSAGE, f"get {message.what}: {required} {fault}")
    member, key = given[0] if given else ("", "")
    if ANY in (message.network, key):
        names = f"the network and the {member}" if member else "the network"
        raise RequestError(Code.BAD_TOPIC, f"get {message.what}: '*' is not allowed: name {names}")
    if message.what == "alerts":
        network = Topic.parse(f"network:{message.network}")
        Topic.parse(f"alerts:{key}")  # raises if the type is malformed
        return GetHistory("alerts", network, message.limit, (), message.before, request_id, alert_type=key.lower())
    topic = Topic.parse(":".join(part for part in (family or member, message.network, key) if part))
    if message.what == "price":
        return GetPrice(topic.scope, topic.key, request_id)
    if message.what == "stats":
        return GetStats(topic, request_id)
    return GetHistory(message.what, topic, message.limit, tuple(message.events), message.before, request_id)


def _topics(texts: list[str], max_topics: int) -> tuple[Topic, ...]:
    """Return the topics without duplicates. Raises `RequestError`."""
    if len(texts) > max_topics:
        raise RequestError(Code.TOO_MANY_TOPICS, f"{len(texts)} topics in one message; at most {max_topics}")
    return tuple(dict.fromkeys(Topic.parse(text) for text in texts))


def _since(since: str | dict[str, str], topics: tuple[Topic, ...]) -> dict[str, str]:
    """Return a cursor per source; a single cursor belongs to the one network that all topics name."""
    if isinstance(since, str):
        networks = {topic.network for topic in topics}
        network = networks.pop() if len(networks) == 1 else None
        if network is None:
            raise RequestError(
                Code.BAD_CURSOR,
                f"since {quote_value(since)} is one cursor, but the topics are not of one network; "
                'write {"network": "cursor", …}',
            )
        since = {network: since}
    for source, cursor in since.items():
        if len(cursor) != CURSOR_DIGITS or not (cursor.isascii() and cursor.isdigit()):
            raise RequestError(
                Code.BAD_CURSOR,
                f"since {quote_value(cursor)} of {quote_value(source)} is not a cursor: "
                f"a cursor is {CURSOR_DIGITS} digits, as `events` carries it",
            )
    return since
