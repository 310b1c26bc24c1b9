"""What a client asks for and what it is told, in no protocol's words: the two sides of every dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, Union

from chaincast.errors import ClientError, RequestId
from chaincast.model.events import Event, Json
from chaincast.model.topics import Topic


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a command: a connection, whose it is (empty while nobody has said so), and whether it has joined (None
    where its dialect knows no joining). `premium`: whether its user may have premium topics."""

    connection_id: str
    dialect: str
    user: str = ""
    joined: bool | None = None
    premium: bool = False


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Listen to `topics`, to events of some `kinds` only if any are named (`contract.event:Name`: of contracts' events
    those called so); with `since` (a cursor per source) also to what came after those. `cursors`: the answer says where
    each source stands that the topics can be of.

    A caller who has a user listens to `own` instead, if there are any. `vocabulary`: in whose words the events are
    told, where the dialect has several. `current`: of topics of these families that name a token, the answer says how
    it stands; `recent`: so many of the newest events under the topics come with it.
    """

    topics: tuple[Topic, ...]
    kinds: tuple[str, ...] = ()
    since: Mapping[str, str] | None = None
    cursors: bool = False
    request_id: RequestId = None
    own: tuple[Topic, ...] = ()
    vocabulary: str = ""
    current: tuple[str, ...] = ("token",)
    recent: int = 0


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Stop listening to `topics`."""

    topics: tuple[Topic, ...]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class UnsubscribeFamilies:
    """Stop listening to every topic of some families."""

    families: frozenset[str]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Is anybody there?"""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class GetHistory:
    """The newest `limit` events under a topic that has a history; of those called `names` only, if any are
    named; before a position, if one is given. `alert`: of a network, the alerts of that type."""

    what: str
    topic: Topic
    limit: int
    names: tuple[str, ...] = ()
    before: str | None = None
    request_id: RequestId = None
    alert: str = ""


@dataclass(frozen=True, slots=True)
class GetPrice:
    """What a token costs now; `network` may be `*`."""

    network: str
    token: str
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class GetStats:
    """What is known of a token or of a contract; `about` is its topic (`token:…` or `contract:…`)."""

    about: Topic
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Whose the connection is, as a token proves."""

    token: str
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Join:
    """Begin to talk, in protocols where that is a step of its own; with a token, if the client has one."""

    token: str = ""
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Stop talking, and listening to anything; the connection stays."""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """CloseConnection the connection."""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A message that only shows that the client is there."""

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
    """Whose a connection is. `id` is what private topics name; `until` (s) when what proves it ends, 0: never;
    `premium`: may have premium topics."""

    id: str
    email: str = ""
    until: int = 0
    premium: bool = False


@dataclass(frozen=True, slots=True)
class Connected:
    """The greeting: the connection exists and may subscribe. `max_bytes`: the longest message it may send."""

    connection_id: str
    networks: tuple[str, ...]
    max_bytes: int = 32_768


@dataclass(frozen=True, slots=True)
class TokenSnapshot:
    """A token's newest price and trade, None where there is none."""

    price: Event | None
    latest_trade: Event | None


@dataclass(frozen=True, slots=True)
class Subscribed:
    """These topics are live: what is queued from now on reaches the connection. `now`: of topics about one token, how
    it stands. `recent`: newest first. `cursors`: of each source one that all that follows comes behind."""

    topics: tuple[Topic, ...]
    request_id: RequestId = None
    now: Mapping[str, TokenSnapshot] = field(default_factory=dict)
    recent: tuple[Event, ...] = ()
    cursors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    topics: tuple[Topic, ...]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Pong:
    """`timestamp` is the server's clock in ms."""

    timestamp: int
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class History:
    """Events, newest first; `before` is where to go on, None at the end."""

    what: str
    events: tuple[Event, ...]
    before: str | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Price:
    """A token's newest price event, None where there is none."""

    network: str
    token: str
    event: Event | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Stats:
    """What is known of a token or contract: names to numbers, as chaincast/sessions/statistics.py makes them."""

    about: Topic
    figures: Mapping[str, Json]
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Authenticated:
    """`user`: None where tokens are not asked for, and nobody looks at them."""

    user: User | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class AuthenticationExpired:
    """What proved whose the connection is has ended; without a fresh token it is closed after so many seconds."""

    grace_seconds: int
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class Joined:
    """`user`: None where no token came along."""

    connection_id: str
    user: User | None
    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class ConnectionClosing:
    """The connection is to be closed, with nothing more to say."""

    request_id: RequestId = None


@dataclass(frozen=True, slots=True)
class NoReply:
    """There is nothing to say."""

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
    ClientError,
]
