"""Models of the messages that a `chaincast.v1` client receives, for the documentation.

The encoder (chaincast/protocol/dialects/chaincast_v1/codec.py) does not use them, for speed. A test validates its
output with these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, Union, get_args

from pydantic import BaseModel, ConfigDict, Field

Id: TypeAlias = Union[str, int]


class ServerObject(BaseModel):
    """A JSON object from the server."""

    model_config = ConfigDict(extra="forbid")


class EventObject(ServerObject):
    """An event. `data` depends on the kind (docs/protocol.md). Events of a chain have the fields from `block` on."""

    id: str = Field(description="the same in each delivery of the event")
    kind: str
    timestamp: int = Field(description="time of the block in ms since 1970")
    topics: list[str]
    data: dict[str, Any]
    block: int | None = None
    tx_hash: str | None = None
    log_index: int | None = None
    contract: str | None = None
    token: str | None = None


class ConnectedMessage(ServerObject):
    """The first message of a connection."""

    type: Literal["connected"]
    connection_id: str
    dialect: Literal["chaincast.v1"]
    networks: list[str]


class EventsMessage(ServerObject):
    """The events of a batch for this connection, in order. The client has now received `source` up to `cursor`."""

    type: Literal["events"]
    source: str
    cursor: str
    events: list[EventObject]


class RetractedMessage(ServerObject):
    """Events that a reorganisation removed from the chain, newest first."""

    type: Literal["retracted"]
    source: str
    cursor: str
    ids: list[str]


class _Reply(ServerObject):
    id: Id | None = Field(None, description="`id` of the client's message, if it had one")


class TokenState(ServerObject):
    """The newest `price` and `trade` of a token."""

    price: EventObject | None
    latest_trade: EventObject | None


class SubscribedMessage(_Reply):
    """The connection is subscribed to `topics`.

    `now`: state of the token, for each topic `token:…`. `cursors`: source → cursor from which to resume, if requested.
    """

    type: Literal["subscribed"]
    topics: list[str]
    now: dict[str, TokenState] | None = None
    cursors: dict[str, str] | None = None


class UnsubscribedMessage(_Reply):
    """The connection is no longer subscribed to `topics`."""

    type: Literal["unsubscribed"]
    topics: list[str]


class PongMessage(_Reply):
    """The reply to `ping`, with the server's time in ms since 1970."""

    type: Literal["pong"]
    timestamp: int


class UserObject(ServerObject):
    """The user of a connection, from the claims of its token."""

    id: str
    email: str


class AuthenticatedMessage(_Reply):
    """The user of the connection; null if this deployment has no authentication."""

    type: Literal["authenticated"]
    user: UserObject | None


class AuthExpiredMessage(ServerObject):
    """The token has expired. The connection closes in `closes_in` seconds unless the client sends a new token."""

    type: Literal["auth_expired"]
    closes_in: int


class HistoryMessage(_Reply):
    """A page of past events, newest first. `before`: parameter for the next page, null on the last page."""

    type: Literal["history"]
    what: str
    before: str | None
    events: list[EventObject]


class PriceMessage(_Reply):
    """The newest price of a token, null if there is none."""

    type: Literal["price"]
    network: str
    token: str
    event: EventObject | None


class StatsMessage(_Reply):
    """Statistics of a token or a contract."""

    type: Literal["stats"]
    network: str
    token: str | None = None
    contract: str | None = None
    stats: dict[str, Any]


class ErrorMessage(_Reply):
    """A message was refused; the connection stays open. `retry_after`: seconds until a retry can succeed."""

    type: Literal["error"]
    code: str = Field(description="stable code, for programs")
    message: str = Field(description="the value, the rule that it breaks, and the fix, for people")
    retry_after: int | None = None
    oldest: str | None = None
    source: str | None = None


ServerMessage: TypeAlias = Annotated[
    Union[
        ConnectedMessage,
        EventsMessage,
        RetractedMessage,
        SubscribedMessage,
        UnsubscribedMessage,
        PongMessage,
        AuthenticatedMessage,
        AuthExpiredMessage,
        HistoryMessage,
        PriceMessage,
        StatsMessage,
        ErrorMessage,
    ],
    Field(discriminator="type"),
]

MODELS: dict[str, type[ServerObject]] = {
    str(get_args(model.model_fields["type"].annotation)[0]): model for model in get_args(get_args(ServerMessage)[0])
}
"""Type of message → model."""
