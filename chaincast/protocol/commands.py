"""Commands that clients send and outcomes that they receive, independent of any wire protocol.

A dialect decodes a client's bytes to one `Command` and encodes one `Outcome` to the messages of its protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from chaincast.errors import RequestError, RequestId
from chaincast.model.events import Event, Json
from chaincast.model.topics import Topic


@dataclass(frozen=True, slots=True)
class Caller:
    """The connection that sent a command.

    `user`: id of the authenticated user; empty if the connection is anonymous.
    `joined`: True once the connection has sent `Join`; None if its dialect has no join step.
    `premium`: True if the user may subscribe to premium topics.
    `identity`: number of changes of the user or of `joined` so far. A decision for an earlier one is not stored.
    """

    connection_id: str
    dialect: str
    user: str = ""
    joined: bool | None = None
    premium: bool = False
    identity: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe the connection to topics.

    `kinds`: kinds of events to receive (`contract.event:Name` selects contract events by name); empty means all.
    `since`: cursor per source; the events after these cursors are replayed.
    `with_cursors`: True if the reply carries a cursor for each source that can publish under the topics.
    `own_topics`: topics that replace `topics` if the caller has a user; empty if there is no such replacement.
    `vocabulary`: vocabulary that the events are encoded in, for dialects that have several.
    `snapshot_families`: families of topics for which the reply carries a snapshot of the topic's token.
    `recent_events`: number of newest events of each topic that the reply carries.
    """

    topics: tuple[Topic, ...]
    kinds: tuple[str, ...] = ()
    since: Mapping[str, str] | None = None
    with_cursors: bool = False
    request_id: RequestId = None
    own_topics: tuple[Topic, ...] = ()
    vocabulary: str = ""
    snapshot_families: tuple[str, ...] = ("token",)
    recent_events: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Unsubscribe the connection from topics."""

    topics: tuple[Topic, ...]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class UnsubscribeFamilies:
    """Unsubscribe the connection from every topic of some families."""

    families: frozenset[str]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask the server for a `Pong`."""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class GetHistory:
    """Get the newest `limit` events of a topic that has a history.

    `what`: name of the requested history in the client's protocol; the reply repeats it.
    `event_names`: names of contract events to return; empty means all.
    `before`: position at which an earlier page ended; None for the newest events.
    `alert_type`: type of alerts to return. If it is set, `topic` names the network and the alerts' history is read.
    """

    what: str
    topic: Topic
    limit: int
    event_names: tuple[str, ...] = ()
    before: str | None = None
    request_id: RequestId = None
    alert_type: str = ""


@dataclass(frozen=True, slots=True)
class GetPrice:
    """Get the current price of a token; `network` may be `*`, which means the newest price on any network."""

    network: str
    token: str
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class GetStats:
    """Get the statistics of a token or contract; `topic` is its topic (`token:…` or `contract:…`)."""

    topic: Topic
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Authenticate the connection with a token."""

    token: str
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Join:
    """Join the namespace, in dialects that require it before other commands; `token` is empty if none was sent."""

    token: str = ""
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave the namespace and drop all subscriptions; the connection stays open."""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Close the connection."""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A message that asks for nothing and only shows that the client is alive."""

    request_id: RequestId = None


Command: TypeAlias = Union[
    Subscribe,
    Unsubscribe,
    UnsubscribeFamilies,
    Ping,
    GetHistory,
    GetPrice,
    GetStats,
    Authenticate,
    Join,
    Leave,
    CloseConnection,
    KeepAlive,
]


@dataclass(frozen=True, slots=True)
class User:
    """An authenticated user.

    `id`: name of the user in private topics.
    `expires_at`: Unix time (s) at which the token expires; 0 if it never does.
    `premium`: True if the user may subscribe to premium topics.
    """

    id: str
    email: str = ""
    expires_at: int = 0
    premium: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """Greeting of a new connection, which may now send commands.

    `max_bytes`: maximum size of a message from the client.
    """

    connection_id: str
    networks: tuple[str, ...]
    max_bytes: int = 32_768


@dataclass(frozen=True, slots=True)
class TokenSnapshot:
    """The newest price and trade of a token; None where the token has none."""

    price: Event | None
    latest_trade: Event | None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Confirmation that topics are live: every event queued from now on reaches the connection.

    `snapshots`: topic to the snapshot of its token.
    `recent_events`: newest events of the topics, newest first.
    `cursors`: source to a cursor; every event that the connection receives from the source lies behind it.
    """

    topics: tuple[Topic, ...]
    request_id: RequestId = None
    snapshots: Mapping[str, TokenSnapshot] = field(default_factory=dict)
    recent_events: tuple[Event, ...] = ()
    cursors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """Confirmation that the connection receives no further events of these topics."""

    topics: tuple[Topic, ...]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Pong:
    """Reply to `Ping`; `timestamp` is the server's clock (ms)."""

    timestamp: int
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class History:
    """A page of a history, newest event first; `before` is where the next page begins, None at the end."""

    what: str
    events: tuple[Event, ...]
    before: str | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Price:
    """The newest price event of a token; None if the token was never traded."""

    network: str
    token: str
    event: Event | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Stats:
    """The statistics of a token or contract: name to value, as `chaincast.sessions.statistics` computes them."""

    topic: Topic
    values: Mapping[str, Json]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Confirmation of `Authenticate`; `user` is None if the deployment does not use authentication."""

    user: User | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class AuthenticationExpired:
    """Notice that the connection's token has expired.

    The server closes the connection after `grace_seconds` unless the client authenticates again.
    """

    grace_seconds: int
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Joined:
    """Confirmation of `Join`; `user` is None if the connection is anonymous."""

    connection_id: str
    user: User | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class ConnectionClosing:
    """The server closes the connection without a reply."""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class NoReply:
    """The command was carried out and its protocol has no reply to it."""

    request_id: RequestId = None


Outcome: TypeAlias = Union[
    Connected,
    Subscribed,
    Unsubscribed,
    Pong,
    History,
    Price,
    Stats,
    Authenticated,
    AuthenticationExpired,
    Joined,
    ConnectionClosing,
    NoReply,
    RequestError,
]
