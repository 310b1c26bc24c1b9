"""Messages that a `chaincast.v1` client receives, as models for the documentation.

The encoder (chaincast/protocol/dialects/chaincast_v1/codec.py) writes bytes without them; a test validates everything
that it writes against these models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, Union, get_args

from pydantic import BaseModel, ConfigDict, Field

Id: TypeAlias = Union[str, int]


class Told(BaseModel):
    model_config = ConfigDict(extra="forbid")


class EventTold(Told):
    """One fact. `data` by kind: docs/protocol.md. On-chain events also say where they happened."""

    id: str = Field(description="the same whenever the event is told again")
    kind: str
    timestamp: int = Field(description="ms, of the block")
    topics: list[str]
    data: dict[str, Any]
    block: int | None = None
    tx_hash: str | None = None
    log_index: int | None = None
    contract: str | None = None
    token: str | None = None


class ConnectedTold(Told):
    """The greeting, a moment after connecting."""

    type: Literal["connected"]
    connection_id: str
    dialect: Literal["chaincast.v1"]
    networks: list[str]


class EventsTold(Told):
    """What a block brought for this connection, in order. `cursor`: everything of `source` up to it is yours."""

    type: Literal["events"]
    source: str
    cursor: str
    events: list[EventTold]


class RetractedTold(Told):
    """Events that a chain reorganisation took back, newest first."""

    type: Literal["retracted"]
    source: str
    cursor: str
    ids: list[str]


class _Answer(Told):
    id: Id | None = Field(None, description="of the message that is answered, if it had one")


class Now(Told):
    """How a token stands: its newest `price` and `trade`."""

    price: EventTold | None
    latest_trade: EventTold | None


class SubscribedTold(_Answer):
    """From now on what these topics bring is told. `now`: of topics `token:…`, how the token stands. `cursors`, for who
    asked: of each source the one to resume from."""

    type: Literal["subscribed"]
    topics: list[str]
    now: dict[str, Now] | None = None
    cursors: dict[str, str] | None = None


class UnsubscribedTold(_Answer):
    type: Literal["unsubscribed"]
    topics: list[str]


class PongTold(_Answer):
    type: Literal["pong"]
    timestamp: int


class UserTold(Told):
    id: str
    email: str


class AuthenticatedTold(_Answer):
    """Whose the connection is; null where this deployment asks nobody for a token."""

    type: Literal["authenticated"]
    user: UserTold | None


class AuthExpiredTold(Told):
    """The token has ended: `authenticate` with another within so many seconds, or the connection is closed."""

    type: Literal["auth_expired"]
    closes_in: int


class HistoryTold(_Answer):
    """What is kept of the past, newest first; `before`: ask again with it, null: there is no more."""

    type: Literal["history"]
    what: str
    before: str | None
    events: list[EventTold]


class PriceTold(_Answer):
    """A token's newest price, null where there is none."""

    type: Literal["price"]
    network: str
    token: str
    event: EventTold | None


class StatsTold(_Answer):
    """Figures of a token or a contract."""

    type: Literal["stats"]
    network: str
    token: str | None = None
    contract: str | None = None
    stats: dict[str, Any]


class ErrorTold(_Answer):
    """A message could not be served; the connection stays open. `retry_after`: seconds."""

    type: Literal["error"]
    code: str = Field(description="stable, for programs")
    message: str = Field(description="what was wrong, with which value, and what would be right")
    retry_after: int | None = None
    oldest: str | None = None
    source: str | None = None


ServerMessage: TypeAlias = Annotated[
    Union[
        ConnectedTold,
        EventsTold,
        RetractedTold,
        SubscribedTold,
        UnsubscribedTold,
        PongTold,
        AuthenticatedTold,
        AuthExpiredTold,
        HistoryTold,
        PriceTold,
        StatsTold,
        ErrorTold,
    ],
    Field(discriminator="type"),
]

MODELS: dict[str, type[Told]] = {
    str(get_args(model.model_fields["type"].annotation)[0]): model for model in get_args(get_args(ServerMessage)[0])
}
"""Message type → what it is."""
